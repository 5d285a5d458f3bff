import type { Clock } from "../engine/clock.ts";
import { ClusterError } from "../engine/cluster.ts";
import type { Log } from "../engine/log.ts";
import type { KubeObject, ObjectKind } from "../engine/objects.ts";
import type { ApiClient } from "./api-client.ts";
import { KindCache } from "./cache.ts";
import { pathOf, type Resource } from "./discovery.ts";
import { objectKey, Reflector, type ReflectorState, type ReflectorTiming } from "./reflector.ts";

/** How one kind is read. */
export interface KindRule extends ObjectKind {
  /** Objects without these labels are never asked for, and can't be seen: for kinds of which only some concern us. */
  readonly labelSelector?: string;
  /** Only metadata is asked for: for kinds of which nothing else is read. */
  readonly metadataOnly?: boolean;
  /** Nothing waits for its first listing where the server can't give it one: the kind counts as not served until then. */
  readonly optional?: boolean;
  /** What is kept of an object, its `managedFields` being gone already; all of it by default. */
  readonly keep?: (object: KubeObject) => KubeObject;
  /** A label by which objects of one namespace are often listed. */
  readonly index?: string;
}

export interface KindSourceOptions {
  rule: KindRule;
  client: ApiClient;
  clock: Clock;
  log: Log;
  /** Namespaces that are looked at; all of them where there are none. */
  namespaces: readonly string[];
  timing?: Partial<ReflectorTiming>;
  onHandlerError: (thrown: unknown) => void;
  /** A path of this kind is not there any more. */
  onAbsent: () => void;
}

interface Running {
  readonly resource: Resource;
  readonly stop: AbortController;
  readonly scopes: readonly string[];
  readonly reflectors: readonly Reflector[];
  readonly ended: Promise<unknown>;
}

/** One kind: its cache, and the reflectors that fill it for as long as the kind is served. */
export class KindSource {
  readonly cache: KindCache;
  readonly #options: KindSourceOptions;
  readonly #states = new Map<string, ReflectorState>();
  readonly #waiting = new Set<() => void>();
  #running: Running | undefined;
  #stopped = false;

  constructor(options: KindSourceOptions) {
    this.#options = options;
    const { keep = (object) => object, index } = options.rule;
    this.cache = new KindCache({
      keep: (object) => keep(withoutManagedFields(object)),
      onHandlerError: options.onHandlerError,
      ...(index === undefined ? {} : { index }),
    });
  }

  /** Whether what the cache shows is the cluster's own word, of one namespace at least. */
  get readable(): boolean {
    return [...this.#states.values()].some(isRead);
  }

  /** The same of this namespace: where only some are looked at, each may be refused by itself. */
  isReadableIn(namespace: string): boolean {
    const scopes = this.#running?.scopes ?? [];
    return isRead(this.#states.get(scopes.includes(namespace) ? namespace : ""));
  }

  /** Whether nothing can be read, since the server fails to list it. */
  get isFailing(): boolean {
    return !this.readable && [...this.#states.values()].includes("failing");
  }

  /**
   * How it is read, as long as it can be. A server that has just begun leaves kinds out of what it says it serves; what
   * is watched is served all the same.
   */
  get resource(): Resource | undefined {
    return this.readable ? this.#running?.resource : undefined;
  }

  /** Whether it is known what can be read: false until the first listing has ended in some way. */
  get isSettled(): boolean {
    return this.#running === undefined || this.#running.scopes.every((scope) => this.#states.has(scope));
  }

  /** Milliseconds since the one of its reflectors that has been still for longest heard something or tried. */
  get idle(): number {
    return Math.max(0, ...(this.#running?.reflectors ?? []).map((reflector) => reflector.idle));
  }

  /** Resolves as soon as `isSettled`. */
  async settled(): Promise<void> {
    if (this.isSettled || this.#stopped) return;
    await new Promise<void>((resolve) => this.#waiting.add(resolve));
  }

  /** @throws ClusterError Unavailable before the first listing: nobody decides on half a cache */
  assertSettled(): void {
    if (this.isSettled) return;
    throw new ClusterError("Unavailable", `${this.#options.rule.kind} is not listed yet`);
  }

  /** How the kind is served now; undefined where discovery knows it not. */
  serve(resource: Resource | undefined): void {
    if (this.#stopped) return;
    if (resource !== undefined && this.#running === undefined) this.#start(resource);
    // Only what can't be read either is given up.
    if (resource === undefined && this.#running !== undefined && this.isSettled && !this.readable)
      this.#end();
  }

  /** Resolves when no reflector runs any more. */
  async stop(): Promise<void> {
    this.#stopped = true;
    const ended = this.#running?.ended;
    this.#running?.stop.abort(new Error("the cluster's adapter stops"));
    this.#tellWaiting(true);
    await ended;
  }

  #start(resource: Resource): void {
    const { namespaces } = this.#options;
    const scopes = resource.namespaced && namespaces.length > 0 ? namespaces : [""];
    const stop = new AbortController();
    const reflectors = scopes.map((scope) => this.#reflector(resource, scope));
    const ended = Promise.all(reflectors.map((reflector) => reflector.run(stop.signal)));
    this.#running = { resource, stop, scopes, reflectors, ended };
  }

  #end(): void {
    this.#running?.stop.abort(new Error("the kind is not served any more"));
    this.#running = undefined;
    this.#states.clear();
    this.#tellWaiting(true);
  }

  #reflector(resource: Resource, scope: string): Reflector {
    const { client, clock, log, rule, timing = {} } = this.#options;
    const { apiVersion, kind, labelSelector, metadataOnly } = rule;
    const ofScope = (object: KubeObject): boolean => scope === "" || object.metadata.namespace === scope;
    return new Reflector({
      client,
      clock,
      log,
      timing,
      kind: { apiVersion, kind },
      path: pathOf(resource, scope === "" ? undefined : scope),
      ...(labelSelector === undefined ? {} : { labelSelector }),
      ...(metadataOnly === undefined ? {} : { metadataOnly }),
      sink: {
        put: (object) => this.cache.put(object),
        remove: (object) => this.cache.remove(object),
        retain: (listed) =>
          this.cache.removeIf((object) => ofScope(object) && !listed.has(objectKey(object))),
        state: (state) => this.#onState(scope, state, ofScope),
      },
    });
  }

  #onState(scope: string, state: ReflectorState, ofScope: (object: KubeObject) => boolean): void {
    const before = this.#states.get(scope);
    // A server that can't be reached says nothing about what may be read.
    if (state === "unreachable" && before !== "listed") return;
    if (state === "failing" && this.#options.rule.optional !== true) return;
    this.#states.set(scope, state);
    if (state === "forbidden" || state === "absent") this.cache.removeIf(ofScope);
    this.#tellWaiting(this.isSettled);
    if (state === "absent" && before !== "absent") this.#options.onAbsent();
  }

  #tellWaiting(now: boolean): void {
    if (!now) return;
    for (const resolve of this.#waiting) resolve();
    this.#waiting.clear();
  }
}

function isRead(state: ReflectorState | undefined): boolean {
  return state === "listed" || state === "unreachable";
}

/** Who holds which field is much of what an object weighs, and is asked of the server when it matters. */
export function withoutManagedFields(object: KubeObject): KubeObject {
  const { managedFields: _, ...metadata } = object.metadata;
  return { ...object, metadata };
}
