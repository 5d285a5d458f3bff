import { messageOf, NaruError } from "../../lib/errors.ts";
import type { Clock } from "../engine/clock.ts";
import type { Log } from "../engine/log.ts";
import type { ObjectKind } from "../engine/objects.ts";
import type { ApiClient, Json } from "./api-client.ts";
import { jittered } from "./jitter.ts";
import { pause } from "./time-limit.ts";

/** How an API server serves one kind. */
export interface Resource extends ObjectKind {
  /** `/apis/apps/v1` and `deployments`, for paths. */
  readonly root: string;
  readonly plural: string;
  readonly namespaced: boolean;
  readonly verbs: ReadonlySet<string>;
  readonly subresources: ReadonlySet<string>;
}

/** Aggregated discovery: all kinds of a server in two answers (stable since Kubernetes 1.30). */
const AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
/** Milliseconds between looks where CustomResourceDefinitions tell of changes, and where something is not told. */
const LOOK_AGAIN_TOLD = 600_000;
const LOOK_AGAIN_UNTOLD = 30_000;
/** Milliseconds after a definition changed: a server serves a kind some moments after it said so. */
const AFTER_CHANGE = [100, 500, 2_000, 5_000];
const FIRST_RETRY = 200;
const LONGEST_RETRY = 30_000;

/** What the API server serves, kept up to date: asked for at the start, after `poke`, and now and then. */
export class Discovery {
  readonly #client: ApiClient;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #onChange: () => void;
  readonly #told: () => boolean;
  #resources: ReadonlyMap<string, Resource> = new Map();
  #soon: number[] = [];
  #wake: (() => void) | undefined;

  /** `told`: whether changes of definitions are told by `poke`, and none was told of whose kind is not served yet. */
  constructor(options: {
    client: ApiClient;
    clock: Clock;
    log: Log;
    onChange: () => void;
    told: () => boolean;
  }) {
    this.#told = options.told;
    this.#client = options.client;
    this.#clock = options.clock;
    this.#log = options.log;
    this.#onChange = options.onChange;
  }

  find(kind: ObjectKind): Resource | undefined {
    return this.#resources.get(keyOf(kind));
  }

  /** Whether a kind is served that a CustomResourceDefinition of this name (`plural.group`) defines. */
  defines(definition: string): boolean {
    return [...this.#resources.values()].some(
      ({ plural, root }) => `${plural}.${root.split("/")[2]}` === definition,
    );
  }

  /**
   * Resolves when the server has answered for the first time, however long that takes, or when `signal` aborts.
   * @throws NaruError ApiServerTooOld, KubeConfigUnusable: no waiting mends them
   */
  async first(signal: AbortSignal): Promise<void> {
    for (let failures = 0; !signal.aborted; failures += 1) {
      const thrown = await this.#look(signal);
      if (thrown === undefined) return;
      if (thrown instanceof NaruError) throw thrown;
      await pause(this.#clock, jittered(failures, FIRST_RETRY, LONGEST_RETRY), signal);
    }
  }

  /** Looks again until `signal` aborts; never throws. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const wait = this.#soon.shift() ?? (this.#told() ? LOOK_AGAIN_TOLD : LOOK_AGAIN_UNTOLD);
      const woken = new AbortController();
      this.#wake = () => woken.abort();
      await pause(this.#clock, wait, AbortSignal.any([signal, woken.signal]));
      if (!signal.aborted && !woken.signal.aborted) await this.#look(signal);
    }
  }

  /** Something may be served now that was not, or no longer. */
  poke(): void {
    this.#soon = [...AFTER_CHANGE];
    this.#wake?.();
  }

  /** Answers what went wrong, if anything did. */
  async #look(signal: AbortSignal): Promise<unknown> {
    try {
      const answers = await Promise.all(
        ["/api", "/apis"].map((path) => this.#client.request("GET", path, { accept: AGGREGATED, signal })),
      );
      this.#resources = readDiscovery(answers, this.#resources);
      this.#onChange();
      return undefined;
    } catch (thrown) {
      if (!signal.aborted) this.#log.warn({ error: messageOf(thrown) }, "the API server's kinds are unknown");
      return thrown;
    }
  }
}

export function pathOf(resource: Resource, namespace?: string, name?: string, subresource?: string): string {
  const parts = [
    resource.root,
    ...(resource.namespaced && namespace !== undefined ? ["namespaces", encodeURIComponent(namespace)] : []),
    resource.plural,
    ...(name === undefined ? [] : [encodeURIComponent(name)]),
    ...(subresource === undefined ? [] : [subresource]),
  ];
  return parts.join("/");
}

/**
 * Reads APIGroupDiscoveryLists. A group whose own server does not answer now (`Stale`) keeps what was known of it.
 * @throws NaruError ApiServerTooOld
 */
export function readDiscovery(
  answers: readonly Json[],
  before: ReadonlyMap<string, Resource>,
): Map<string, Resource> {
  const resources = new Map<string, Resource>();
  for (const answer of answers) {
    if (answer.kind !== "APIGroupDiscoveryList") {
      throw new NaruError({
        code: "ApiServerTooOld",
        message: `the API server answers ${String(answer.kind)} for its kinds: it has no aggregated discovery`,
        remedy: "use Kubernetes 1.30 or later",
      });
    }
    for (const group of (answer.items ?? []) as readonly GroupDiscovery[]) {
      for (const version of group.versions ?? []) {
        const apiVersion = [group.metadata.name, version.version].filter(Boolean).join("/");
        const root = group.metadata.name === undefined ? `/api/${apiVersion}` : `/apis/${apiVersion}`;
        const kept = [...before.values()].filter((resource) => resource.apiVersion === apiVersion);
        const found = (version.resources ?? []).map((resource) => toResource(apiVersion, root, resource));
        const stale = version.freshness === "Stale" && found.length === 0;
        for (const resource of stale ? kept : found) resources.set(keyOf(resource), resource);
      }
    }
  }
  return resources;
}

function toResource(apiVersion: string, root: string, found: ResourceDiscovery): Resource {
  return {
    apiVersion,
    kind: found.responseKind?.kind ?? "",
    root,
    plural: found.resource,
    namespaced: found.scope === "Namespaced",
    verbs: new Set(found.verbs),
    subresources: new Set((found.subresources ?? []).map(({ subresource }) => subresource)),
  };
}

function keyOf({ apiVersion, kind }: ObjectKind): string {
  return `${apiVersion}/${kind}`;
}

interface GroupDiscovery {
  readonly metadata: { readonly name?: string };
  readonly versions?: readonly {
    readonly version: string;
    readonly freshness?: string;
    readonly resources?: readonly ResourceDiscovery[];
  }[];
}

interface ResourceDiscovery {
  readonly resource: string;
  readonly responseKind?: { readonly kind: string };
  readonly scope: string;
  readonly verbs: readonly string[];
  readonly subresources?: readonly { readonly subresource: string }[];
}
