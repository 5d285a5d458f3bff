import { type ChildProcess, spawn } from "node:child_process";
import { cp, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { stringify } from "yaml";
import type { ModelServingStatus } from "../../crds/model-serving.ts";
import type { KubeObject } from "../../operator/engine/objects.ts";
import { openStandalone } from "../../operator/standalone/client.ts";
import { end } from "../support/program.ts";

const ROOT = join(import.meta.dirname, "../..");
const GUARD = pathToFileURL(join(ROOT, "operator/standalone/guard.ts")).href;
const KIND = { apiVersion: "naru.dev/v1alpha1", kind: "ModelServing" };
const SETTLE_MILLISECONDS = 120_000;

/** One `naru up` with one ModelServing, driven as a user drives it: by editing its file. */
export interface World {
  /** Writes the resource's file, and waits until status speaks of it and `settled` holds. */
  apply(spec: object, settled?: (status: ModelServingStatus) => boolean): Promise<ModelServingStatus>;
  status(): Promise<ModelServingStatus | undefined>;
  /** `host:port` of the pods that take requests now: what an endpoints controller would publish. */
  endpoints(): Promise<readonly string[]>;
  /** Where the Service answers over HTTP: balanced by connection, as kube-proxy does it. */
  serviceUrl(): Promise<string>;
  /** Deletes one pod that takes requests, as `kubectl delete pod` does. */
  deletePod(): Promise<void>;
  stop(): Promise<void>;
}

export const rolledOut = (status: ModelServingStatus) =>
  conditionOf(status, "Ready") === "True" && conditionOf(status, "RolloutComplete") === "True";

export const rolledBack = (status: ModelServingStatus) =>
  conditionOf(status, "Ready") === "True" &&
  status.canary === undefined &&
  status.lastRollout?.result === "RolledBack";

function conditionOf(status: ModelServingStatus, type: string): string | undefined {
  return status.conditions?.find((condition) => condition.type === type)?.status;
}

export async function startWorld(): Promise<World> {
  const folder = await mkdtemp(join(tmpdir(), "naru-zero-loss-"));
  await cp(join(ROOT, "examples/digits/models"), join(folder, "models"), { recursive: true });
  // Its standard input is a pipe of ours: should we be killed, it drains, as the pods of a killed `naru up` do.
  const program = spawn(process.execPath, ["--import", GUARD, join(ROOT, "cli/main.ts"), "up", folder], {
    stdio: ["pipe", "pipe", "pipe"],
  });
  const said = collect(program);
  let stopped = false;

  const list = async (kind: { apiVersion: string; kind: string }): Promise<readonly KubeObject[]> => {
    if (program.exitCode !== null && !stopped)
      throw new Error(`naru up ended with ${program.exitCode}:\n${said()}`);
    const client = openStandalone(folder);
    return client.running ? client.list(kind).catch(whileItStarts) : [];
  };
  const resource = async () => (await list(KIND))[0];

  return {
    async apply(spec, settled = rolledOut) {
      const before = (await resource())?.metadata.generation ?? 0;
      const document = { ...KIND, metadata: { name: "digits" }, spec };
      await writeFile(join(folder, "digits.yaml"), stringify(document));
      return until(`the resource to settle:\n${JSON.stringify(spec)}`, said, async () => {
        const found = await resource();
        const status = found?.status as ModelServingStatus | undefined;
        const generation = found?.metadata.generation ?? 0;
        if (status === undefined || generation <= before || status.observedGeneration !== generation)
          return undefined;
        return settled(status) ? status : undefined;
      });
    },
    async status() {
      return (await resource())?.status as ModelServingStatus | undefined;
    },
    async endpoints() {
      return (await servingPods(list)).flatMap((pod) => addressOf(pod) ?? []);
    },
    async serviceUrl() {
      const { services } = await openStandalone(folder).info();
      const found = services.find(({ service, portName }) => service === "digits" && portName === "http");
      if (found === undefined) throw new Error("the Service digits has no address");
      return `http://127.0.0.1:${found.localPort}`;
    },
    async deletePod() {
      const [pod] = await servingPods(list);
      if (pod === undefined) throw new Error("no pod takes requests");
      await openStandalone(folder).delete({
        apiVersion: "v1",
        kind: "Pod",
        namespace: "default",
        name: pod.metadata.name,
      });
    },
    async stop() {
      stopped = true;
      await end(program, "SIGINT");
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Between taking the folder and answering, `naru up` has a socket that nobody listens to. */
function whileItStarts(error: unknown): readonly KubeObject[] {
  if (error instanceof Error && "code" in error && (error.code === "ENOENT" || error.code === "ECONNREFUSED"))
    return [];
  throw error;
}

type List = (kind: { apiVersion: string; kind: string }) => Promise<readonly KubeObject[]>;

/** Pods that the Service `digits` selects, ready and not on their way out. */
async function servingPods(list: List): Promise<readonly KubeObject[]> {
  const services = await list({ apiVersion: "v1", kind: "Service" });
  const spec = services.find((service) => service.metadata.name === "digits")?.spec as
    | { selector?: Record<string, string> }
    | undefined;
  if (spec?.selector === undefined) return [];
  const selector = Object.entries(spec.selector);
  return (await list({ apiVersion: "v1", kind: "Pod" })).filter(
    (pod) =>
      pod.metadata.deletionTimestamp === undefined &&
      selector.every(([name, value]) => pod.metadata.labels?.[name] === value) &&
      isReady(pod),
  );
}

function isReady(pod: KubeObject): boolean {
  const { conditions } = pod.status as { conditions?: { type: string; status: string }[] };
  return conditions?.some((condition) => condition.type === "Ready" && condition.status === "True") ?? false;
}

function addressOf(pod: KubeObject): string | undefined {
  const { podIP } = pod.status as { podIP?: string };
  const { containers } = pod.spec as { containers: { ports?: { name?: string; containerPort: number }[] }[] };
  const port = containers
    .flatMap((container) => container.ports ?? [])
    .find((one) => one.name === "http")?.containerPort;
  return podIP === undefined || port === undefined ? undefined : `${podIP}:${port}`;
}

/** What the program said last, for a failure's message. */
function collect(program: ChildProcess): () => string {
  let said = "";
  for (const stream of [program.stdout, program.stderr]) {
    stream?.on("data", (chunk: Buffer) => {
      said = (said + chunk.toString()).slice(-4000);
    });
  }
  program.on("error", (error) => {
    said += error.message;
  });
  return () => said;
}

async function until<T>(what: string, said: () => string, probe: () => Promise<T | undefined>): Promise<T> {
  const deadline = performance.now() + SETTLE_MILLISECONDS;
  while (performance.now() < deadline) {
    const value = await probe();
    if (value !== undefined) return value;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`waited in vain for ${what}\n${said()}`);
}
