import type { KubeObject } from "../../../operator/engine/objects.ts";
import { eventually } from "../../support/eventually.ts";
import type { Namespace } from "./kube.ts";
import { watch } from "./watch.ts";

const SETTLE_MILLISECONDS = 240_000;
const REFRESH = "argocd.argoproj.io/refresh";
/** Has Argo CD take away what the Application brought when the Application is deleted. */
const CASCADE = "resources-finalizer.argocd.argoproj.io";

interface Health {
  readonly status?: string;
  readonly message?: string;
}

/** What these tests read of `status` of an Application. */
export interface ApplicationStatus {
  readonly sync?: { readonly status: string; readonly revision?: string; readonly revisions?: string[] };
  readonly health?: Health;
  readonly history?: readonly { readonly id: number }[];
  readonly resources?: readonly {
    readonly kind: string;
    readonly name: string;
    readonly status?: string;
    readonly health?: Health;
  }[];
  readonly operationState?: {
    readonly phase: string;
    readonly message?: string;
    readonly startedAt: string;
    readonly finishedAt?: string;
  };
  readonly conditions?: readonly { readonly type: string; readonly message: string }[];
}

/** A status as it was told of. */
export interface Moment extends ApplicationStatus {
  /** Milliseconds of this machine's clock. */
  readonly toldAt: number;
}

/** An Application, followed from before it is there. */
export interface Application {
  readonly name: string;
  /** Each status that it had. */
  readonly moments: readonly Moment[];
  status(): ApplicationStatus;
  /** Makes it, or changes it. */
  apply(spec: object): Promise<void>;
  annotate(annotations: Readonly<Record<string, string>>): Promise<void>;
  /** Waits until status is as `holds` says. */
  settled(what: string, holds: (status: ApplicationStatus) => boolean): Promise<ApplicationStatus>;
  /** Has Argo CD compare anew, by sources that it reads and renders anew, and waits until it has. */
  refresh(): Promise<ApplicationStatus>;
  /** Health of a ModelServing by Argo CD. */
  health(serving: string): Health | undefined;
  /** Deletes it with all that it brought, and waits until Argo CD is done. */
  remove(): Promise<void>;
  stop(): Promise<void>;
}

/** Of the source, or the sources, that were compared last. */
export function revisionsOf({ sync }: ApplicationStatus): readonly string[] {
  return sync?.revisions ?? (sync?.revision === undefined ? [] : [sync.revision]);
}

export function healthOf({ resources = [] }: ApplicationStatus, serving: string): Health | undefined {
  return resources.find(({ kind, name }) => kind === "ModelServing" && name === serving)?.health;
}

/** Whether all that is in git is in the cluster, as Argo CD compares them, and nothing else. */
export function synced({ sync, resources = [] }: ApplicationStatus): boolean {
  return sync?.status === "Synced" && resources.every(({ status }) => status === "Synced");
}

export function openApplication(namespace: Namespace, name: string): Application {
  const moments: Moment[] = [];
  const applications = watch(
    namespace,
    ["applications.argoproj.io", "--field-selector", `metadata.name=${name}`],
    ({ status }) => void moments.push({ ...(status as ApplicationStatus | undefined), toldAt: Date.now() }),
  );
  const found = (): KubeObject | undefined =>
    applications.objects().find((object) => object.metadata.name === name);
  const status = () => (found()?.status ?? {}) as ApplicationStatus;
  const application: Application = {
    name,
    moments,
    status,
    apply: (spec) =>
      namespace.apply({
        apiVersion: "argoproj.io/v1alpha1",
        kind: "Application",
        metadata: { name, finalizers: [CASCADE] },
        spec,
      }),
    async annotate(annotations) {
      const pairs = Object.entries(annotations).map(([key, value]) => `${key}=${value}`);
      await namespace.run(["annotate", "application", name, "--overwrite", ...pairs]);
    },
    async settled(what, holds) {
      try {
        return await eventually(what, () => holds(status()) && status(), SETTLE_MILLISECONDS);
      } catch (cause) {
        throw new Error(`waited in vain for ${what}:\n${moments.map(shown).join("\n")}`, { cause });
      }
    },
    async refresh() {
      await application.annotate({ [REFRESH]: "hard" });
      await eventually(
        `${name} to be compared anew`,
        async () => {
          const now = await namespace.get("application", name);
          return now?.metadata.annotations?.[REFRESH] === undefined && now;
        },
        SETTLE_MILLISECONDS,
      );
      const now = await namespace.get("application", name);
      return (now?.status ?? {}) as ApplicationStatus;
    },
    health: (serving) => healthOf(status(), serving),
    async remove() {
      await namespace.run([
        ...["delete", "application", name, "--ignore-not-found", "--timeout"],
        `${SETTLE_MILLISECONDS / 1000}s`,
      ]);
    },
    stop: () => applications.stop(),
  };
  return application;
}

/** A line of a failure's message. */
function shown({ sync, health, operationState, resources = [], conditions = [] }: ApplicationStatus): string {
  const unlike = resources
    .filter(({ status, health }) => status !== "Synced" || (health?.status ?? "Healthy") !== "Healthy")
    .map(
      ({ kind, name, status, health }) => `${kind}/${name} ${status} ${health?.status} ${health?.message}`,
    );
  return [
    `${sync?.status} ${health?.status}`,
    `${operationState?.phase ?? "no operation"} ${operationState?.message ?? ""}`,
    ...unlike,
    ...conditions.map(({ type, message }) => `${type}: ${message}`),
  ].join("; ");
}
