import { messageOf } from "../../lib/errors.ts";
import { type Clock, systemClock } from "../engine/clock.ts";
import {
  type Cluster,
  ClusterError,
  type ClusterEvent,
  type ListQuery,
  type WatchEvent,
} from "../engine/cluster.ts";
import type { Log } from "../engine/log.ts";
import type { KubeObject, ObjectKind, ObjectRef } from "../engine/objects.ts";
import { WritesFenced } from "../engine/writer.ts";
import type { ApiClient, Json } from "./api-client.ts";
import { ApiError } from "./api-error.ts";
import { applyObject, FIELD_MANAGER } from "./apply.ts";
import { Discovery, pathOf, type Resource } from "./discovery.ts";
import { Events } from "./events.ts";
import { type KindRule, KindSource, withoutManagedFields } from "./kind-source.ts";
import type { ReflectorTiming } from "./reflector.ts";

export interface KubeClusterOptions {
  client: ApiClient;
  log: Log;
  /** How kinds are read. They are listed at once; any other kind from when it is first asked for, and whole. */
  kinds: readonly KindRule[];
  /** Namespaces that are looked at; all of them by default. */
  namespaces?: readonly string[];
  /**
   * Asked right before each write is sent, also again after a wait for Retry-After: false once the lease may be lost.
   * A write that is refused by it throws WritesFenced. Events are told all the same. Always true by default.
   */
  mayWrite?: () => boolean;
  /** This process' name in Events, such as its pod's. */
  instance?: string;
  clock?: Clock;
  timing?: Partial<ReflectorTiming>;
}

/** Only its metadata is needed to know that something may be served now. */
const DEFINITIONS: KindRule = {
  apiVersion: "apiextensions.k8s.io/v1",
  kind: "CustomResourceDefinition",
  metadataOnly: true,
  keep: ({ apiVersion, kind, metadata: { name, uid, resourceVersion } }) => ({
    apiVersion,
    kind,
    metadata: { name, ...(uid && { uid }), ...(resourceVersion && { resourceVersion }) },
  }),
};

/** The adapter of Cluster for an API server. */
export interface KubeCluster extends Cluster {
  /** Milliseconds since the watch that has been still for longest heard something or tried; they never rest for long. */
  readonly idle: number;
  /** Ends all watches; resolves when none runs any more and the last Events were written or given up. */
  stop(): Promise<void>;
}

/**
 * Resolves when it is known which kinds are served and every one of `kinds` was listed, however long the server takes;
 * `signal` gives up. Give `client` back yourself, after `stop`.
 */
export async function openKubeCluster(
  options: KubeClusterOptions,
  signal: AbortSignal = new AbortController().signal,
): Promise<KubeCluster> {
  const cluster = new ApiServerCluster(options);
  const giveUp = (): void => void cluster.stop();
  signal.addEventListener("abort", giveUp);
  try {
    await cluster.start();
    signal.throwIfAborted();
    return cluster;
  } catch (thrown) {
    await cluster.stop();
    throw thrown;
  } finally {
    signal.removeEventListener("abort", giveUp);
  }
}

class ApiServerCluster implements KubeCluster {
  readonly #options: KubeClusterOptions;
  readonly #clock: Clock;
  readonly #discovery: Discovery;
  readonly #events: Events;
  readonly #sources = new Map<string, KindSource>();
  readonly #stopping = new AbortController();
  #discovering: Promise<void> | undefined;

  constructor(options: KubeClusterOptions) {
    const { client, log, clock = systemClock, instance = FIELD_MANAGER } = options;
    this.#options = options;
    this.#clock = clock;
    this.#discovery = new Discovery({
      client,
      clock,
      log,
      onChange: () => this.#onDiscovered(),
      told: () => this.#knowsDefinitions(),
    });
    this.#events = new Events({ client, clock, log, instance });
  }

  async start(): Promise<void> {
    await this.#discovery.first(this.#stopping.signal);
    const definitions = this.#open(DEFINITIONS, DEFINITIONS, []);
    const sources = this.#options.kinds.map((rule) => this.#source(rule));
    await Promise.all([definitions, ...sources].map((source) => source.settled()));
    let known = true;
    definitions.cache.watch(DEFINITIONS, () => known || this.#discovery.poke());
    known = false;
    // One may have come between the two: it was listed, and nothing will tell of it.
    if (!this.#knowsDefinitions()) this.#discovery.poke();
    this.#discovering = this.#discovery.run(this.#stopping.signal);
  }

  get(ref: ObjectRef): KubeObject | undefined {
    const source = this.#source(ref);
    source.assertSettled();
    return source.cache.get(ref.namespace, ref.name);
  }

  list(query: ListQuery): readonly KubeObject[] {
    const source = this.#source(query);
    source.assertSettled();
    return source.cache.list(query);
  }

  async watch(query: ListQuery, onChange: (event: WatchEvent) => void): Promise<{ stop(): void }> {
    const source = this.#source(query);
    const watch = source.cache.watch(query, onChange);
    await source.settled();
    return watch;
  }

  async apply(object: KubeObject): Promise<{ object: KubeObject; takenFrom: readonly string[] }> {
    const resource = this.#resource(object);
    try {
      return await applyObject(this.#options.client, resource, object, this.#gate);
    } catch (thrown) {
      throw this.#asNotServed(thrown, object);
    }
  }

  async updateStatus(object: KubeObject): Promise<KubeObject> {
    const resource = this.#resource(object);
    const { namespace, name } = object.metadata;
    const answer = await this.#options.client.request("PUT", pathOf(resource, namespace, name, "status"), {
      body: object,
      query: { fieldManager: FIELD_MANAGER },
      gate: this.#gate,
    });
    return withoutManagedFields(answer as Json as KubeObject);
  }

  async delete(ref: ObjectRef, { uid }: { uid?: string } = {}): Promise<void> {
    const resource = this.#find(ref);
    if (resource === undefined) return;
    const body = {
      apiVersion: "v1",
      kind: "DeleteOptions",
      propagationPolicy: "Background",
      ...(uid === undefined ? {} : { preconditions: { uid } }),
    };
    try {
      const path = pathOf(resource, ref.namespace, ref.name);
      await this.#options.client.request("DELETE", path, { body, gate: this.#gate });
    } catch (thrown) {
      const other = uid !== undefined && thrown instanceof ApiError && thrown.code === "Conflict";
      if (other || (thrown instanceof ApiError && thrown.code === "NotFound")) return;
      throw thrown;
    }
  }

  event(event: ClusterEvent): void {
    this.#events.tell(event);
  }

  serves(kind: ObjectKind): boolean {
    if (this.#find(kind) === undefined) return false;
    const source = this.#sources.get(keyOf(kind));
    return source === undefined || !source.isSettled || source.readable;
  }

  hides(kind: ObjectKind): boolean {
    return this.#sources.get(keyOf(kind))?.isFailing === true;
  }

  shows(kind: ObjectKind, namespace: string): boolean {
    return this.#source(kind).isReadableIn(namespace);
  }

  get idle(): number {
    return Math.max(0, ...[...this.#sources.values()].map((source) => source.idle));
  }

  async stop(): Promise<void> {
    await this.#events.stop();
    this.#stopping.abort(new Error("the cluster's adapter stops"));
    await Promise.all([...this.#sources.values()].map((source) => source.stop()));
    await this.#discovering;
  }

  #source(kind: ObjectKind): KindSource {
    return this.#sources.get(keyOf(kind)) ?? this.#open(kind);
  }

  #open(
    kind: ObjectKind,
    rule: KindRule = this.#ruleOf(kind),
    namespaces: readonly string[] = this.#options.namespaces ?? [],
  ): KindSource {
    const { client, log, timing = {} } = this.#options;
    const source = new KindSource({
      rule,
      client,
      clock: this.#clock,
      log,
      namespaces,
      timing,
      onHandlerError: (thrown) =>
        log.error({ kind: kind.kind, error: messageOf(thrown) }, "a watch's handler failed"),
      onAbsent: () => this.#discovery.poke(),
    });
    this.#sources.set(keyOf(kind), source);
    source.serve(this.#readable(kind));
    return source;
  }

  #ruleOf({ apiVersion, kind }: ObjectKind): KindRule {
    const rule = this.#options.kinds.find((one) => one.apiVersion === apiVersion && one.kind === kind);
    return rule ?? { apiVersion, kind };
  }

  /** How the kind is served, if it is one that can be listed and watched. */
  #readable(kind: ObjectKind): Resource | undefined {
    const resource = this.#discovery.find(kind);
    return resource?.verbs.has("list") && resource.verbs.has("watch") ? resource : undefined;
  }

  /** Whether definitions are watched, and what each of them defines is known to be served. */
  #knowsDefinitions(): boolean {
    const source = this.#sources.get(keyOf(DEFINITIONS));
    if (source?.readable !== true) return false;
    return source.cache.list({}).every(({ metadata }) => this.#discovery.defines(metadata.name));
  }

  #onDiscovered(): void {
    for (const [key, source] of this.#sources) source.serve(this.#readable(kindOf(key)));
  }

  #find(kind: ObjectKind): Resource | undefined {
    return this.#discovery.find(kind) ?? this.#sources.get(keyOf(kind))?.resource;
  }

  /** @throws ClusterError NotServed */
  #resource(kind: ObjectKind): Resource {
    const resource = this.#find(kind);
    if (resource === undefined) throw notServed(kind);
    return resource;
  }

  /** A path that is not there at all is answered without a Status: the kind has gone since it was discovered. */
  #asNotServed(thrown: unknown, kind: ObjectKind): unknown {
    if (!(thrown instanceof ApiError) || thrown.status !== 404 || thrown.reason !== "") return thrown;
    this.#discovery.poke();
    return notServed(kind, thrown);
  }

  readonly #gate = (): void => {
    if (this.#options.mayWrite?.() === false) throw new WritesFenced();
  };
}

function notServed({ apiVersion, kind }: ObjectKind, cause?: unknown): ClusterError {
  return new ClusterError("NotServed", `${apiVersion} ${kind} is not served`, { cause });
}

function keyOf({ apiVersion, kind }: ObjectKind): string {
  return `${apiVersion} ${kind}`;
}

function kindOf(key: string): ObjectKind {
  const [apiVersion = "", kind = ""] = key.split(" ");
  return { apiVersion, kind };
}
