import { randomUUID } from "node:crypto";
import { canonicalJson } from "../../operator/engine/canonical.ts";
import {
  type Cluster,
  ClusterError,
  type ClusterEvent,
  type ListQuery,
  type WatchEvent,
} from "../../operator/engine/cluster.ts";
import {
  type KubeObject,
  type ObjectKind,
  type ObjectRef,
  refKey,
  refOf,
} from "../../operator/engine/objects.ts";
import { applyFields, type FieldSet } from "./server-side-apply.ts";

type Write = "apply" | "updateStatus" | "delete";

interface Stored {
  object: KubeObject;
  holders: Map<string, FieldSet>;
}

interface Watcher {
  readonly query: ListQuery;
  readonly onChange: (event: WatchEvent) => void;
  /** Keys of what it was told is there. */
  readonly known: Set<string>;
}

/**
 * An API server in memory with a cache in front of it that lags, as a watch cache does: it passes the contract suite
 * that the real adapters pass, and lets a test hold the cache back, make writes fail, and count them.
 */
export class MemoryCluster implements Cluster {
  /** Every write that reached the server, failed or not. */
  readonly requests: { verb: Write; ref: ObjectRef }[] = [];
  readonly events: ClusterEvent[] = [];
  /** What watch handlers threw. */
  readonly reported: unknown[] = [];
  /** Called before each write is carried out; what it throws is the write's outcome. */
  beforeWrite: (verb: Write, ref: ObjectRef) => void | Promise<void> = () => undefined;
  /** Called after each write was carried out; what it throws is the outcome that the writer sees (a lost answer). */
  afterWrite: (verb: Write, ref: ObjectRef) => void | Promise<void> = () => undefined;
  /** Whether the kind may be read there. What it says changes nothing of what is shown. */
  isAllowed: (kind: ObjectKind, namespace: string) => boolean = () => true;
  /** Fills in what an API server would default. Changes the object. */
  defaults: (object: KubeObject) => void = () => undefined;

  /** Whether children of deleted owners go; what was left while false goes once it is true again. */
  get collecting(): boolean {
    return this.#collecting;
  }
  set collecting(collecting: boolean) {
    this.#collecting = collecting;
    if (collecting) for (const { object } of this.#stored.values()) this.#collect(object);
  }
  #collecting = true;

  readonly #stored = new Map<string, Stored>();
  readonly #cache = new Map<string, Map<string, KubeObject>>();
  readonly #watchers = new Set<Watcher>();
  readonly #served: Set<string>;
  readonly #uids = new Set<string | undefined>();
  #undelivered: WatchEvent[] = [];
  #held = false;
  #version = 0;

  constructor(kinds: readonly ObjectKind[]) {
    this.#served = new Set(kinds.map(kindKey));
  }

  // The Cluster interface.

  get(ref: ObjectRef): KubeObject | undefined {
    return this.#cache.get(kindKey(ref))?.get(`${ref.namespace}/${ref.name}`);
  }

  list(query: ListQuery): readonly KubeObject[] {
    return [...(this.#cache.get(kindKey(query))?.values() ?? [])]
      .filter((object) => matches(query, object))
      .sort((a, b) => (orderKey(a) < orderKey(b) ? -1 : 1));
  }

  async watch(query: ListQuery, onChange: (event: WatchEvent) => void): Promise<{ stop(): void }> {
    const watcher: Watcher = { query, onChange, known: new Set() };
    this.#watchers.add(watcher);
    for (const object of this.list(query)) this.#tell(watcher, { type: "Added", object });
    return { stop: () => this.#watchers.delete(watcher) };
  }

  async apply(object: KubeObject): Promise<{ object: KubeObject; takenFrom: readonly string[] }> {
    await this.#write("apply", refOf(object));
    const answer = this.#applyAs("naru-operator", object);
    await this.afterWrite("apply", refOf(object));
    return answer;
  }

  async updateStatus(object: KubeObject): Promise<KubeObject> {
    const ref = refOf(object);
    await this.#write("updateStatus", ref);
    const stored = this.#stored.get(refKey(ref));
    if (stored === undefined) throw new ClusterError("NotFound", `${ref.kind} ${ref.name} does not exist`);
    if (stored.object.metadata.resourceVersion !== object.metadata.resourceVersion) {
      throw new ClusterError("Conflict", `${ref.kind} ${ref.name} has changed`);
    }
    const answer = this.#store({ ...stored.object, status: structuredClone(object.status) }, stored.holders);
    await this.afterWrite("updateStatus", ref);
    return answer;
  }

  async delete(ref: ObjectRef, options: { uid?: string } = {}): Promise<void> {
    await this.#write("delete", ref);
    const stored = this.#stored.get(refKey(ref));
    if (stored === undefined || (options.uid !== undefined && stored.object.metadata.uid !== options.uid))
      return;
    this.#delete(stored);
    await this.afterWrite("delete", ref);
  }

  event(event: ClusterEvent): void {
    this.events.push(event);
  }

  serves(kind: ObjectKind): boolean {
    return this.#served.has(kindKey(kind));
  }

  hides(): boolean {
    return false;
  }

  shows(kind: ObjectKind, namespace: string): boolean {
    return this.serves(kind) && this.isAllowed(kind, namespace);
  }

  // What a test does behind the operator's back.

  /** Another client's server-side apply, by force. */
  async applyAs(manager: string, object: KubeObject): Promise<KubeObject> {
    return this.#applyAs(manager, object).object;
  }

  /** Another controller's status. */
  setStatus(ref: ObjectRef, status: unknown): void {
    const stored = this.#stored.get(refKey(ref));
    if (stored === undefined) throw new Error(`no ${refKey(ref)}`);
    this.#store({ ...stored.object, status }, stored.holders);
  }

  remove(ref: ObjectRef): void {
    const stored = this.#stored.get(refKey(ref));
    if (stored !== undefined) this.#delete(stored);
  }

  /** What the server holds, whatever the cache shows. */
  stored(ref: ObjectRef): KubeObject | undefined {
    return this.#stored.get(refKey(ref))?.object;
  }

  serve(kind: ObjectKind): void {
    this.#served.add(kindKey(kind));
  }

  /** The kind's definition is removed, and its objects with it. */
  unserve(kind: ObjectKind): void {
    this.#served.delete(kindKey(kind));
    const all = [...this.#stored.values()].filter(({ object }) => kindKey(object) === kindKey(kind));
    for (const stored of all) this.#delete(stored);
  }

  /** The cache shows nothing new until `release`. */
  hold(): void {
    this.#held = true;
  }

  release(): void {
    this.#held = false;
    this.#deliver();
  }

  async #write(verb: Write, ref: ObjectRef): Promise<void> {
    this.requests.push({ verb, ref });
    await this.beforeWrite(verb, ref);
    if (!this.serves(ref)) throw new ClusterError("NotServed", `${ref.apiVersion} ${ref.kind} is not served`);
  }

  #applyAs(manager: string, applied: KubeObject): { object: KubeObject; takenFrom: readonly string[] } {
    const ref = refOf(applied);
    if (!/^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/.test(ref.name)) {
      throw new ClusterError("Invalid", `metadata.name "${ref.name}" is not a DNS-1123 name`);
    }
    const { status: _, ...rest } = applied;
    const { labels, annotations, ownerReferences, finalizers, name, namespace } = applied.metadata;
    const fields = {
      ...rest,
      metadata: defined({ name, namespace, labels, annotations, ownerReferences, finalizers }),
    };
    const stored = this.#stored.get(refKey(ref));
    const { resourceVersion } = applied.metadata;
    const seen = resourceVersion ?? stored?.object.metadata.resourceVersion;
    if (stored !== undefined && seen !== stored.object.metadata.resourceVersion) {
      throw new ClusterError("Conflict", `${ref.kind} ${ref.name} has changed`);
    }
    const before = stored?.object ?? {
      ...fields,
      metadata: { ...fields.metadata, name, uid: randomUUID(), creationTimestamp: seconds(), generation: 1 },
    };
    const result = applyFields(before, fields, manager, stored?.holders ?? new Map<string, FieldSet>());
    const object = structuredClone(result.object) as KubeObject;
    this.defaults(object);
    return { object: this.#store(object, result.holders), takenFrom: result.takenFrom };
  }

  #store(object: KubeObject, holders: Map<string, FieldSet>): KubeObject {
    const key = refKey(refOf(object));
    const stored = this.#stored.get(key);
    if (stored !== undefined && canonicalJson(object) === canonicalJson(stored.object)) {
      stored.holders = holders;
      return stored.object;
    }
    const generation = stored?.object.metadata.generation ?? 0;
    const wanted = stored === undefined || wantedJson(object) !== wantedJson(stored.object);
    const next = freeze({
      ...object,
      metadata: {
        ...object.metadata,
        resourceVersion: String(++this.#version),
        generation: wanted ? generation + 1 : generation,
      },
    });
    if (next.metadata.deletionTimestamp !== undefined && (next.metadata.finalizers ?? []).length === 0) {
      this.#drop(next);
      return next;
    }
    this.#stored.set(key, { object: next, holders });
    this.#uids.add(next.metadata.uid);
    this.#enqueue({ type: stored === undefined ? "Added" : "Modified", object: next });
    if (stored === undefined) this.#collect(next);
    return next;
  }

  #delete({ object, holders }: Stored): void {
    if ((object.metadata.finalizers ?? []).length > 0) {
      this.#store({ ...object, metadata: { ...object.metadata, deletionTimestamp: seconds() } }, holders);
      return;
    }
    const version = String(++this.#version);
    this.#drop(freeze({ ...object, metadata: { ...object.metadata, resourceVersion: version } }));
  }

  #drop(object: KubeObject): void {
    this.#stored.delete(refKey(refOf(object)));
    this.#uids.delete(object.metadata.uid);
    this.#enqueue({ type: "Deleted", object });
    for (const child of [...this.#stored.values()]) {
      if (child.object.metadata.ownerReferences?.some((owner) => owner.uid === object.metadata.uid)) {
        this.#collect(child.object);
      }
    }
  }

  /** The garbage collector: later, as a server's is. */
  #collect(object: KubeObject): void {
    const owners = object.metadata.ownerReferences ?? [];
    if (owners.length === 0) return;
    setImmediate(() => {
      const stored = this.#stored.get(refKey(refOf(object)));
      if (!this.#collecting || stored === undefined) return;
      if (stored.object.metadata.uid !== object.metadata.uid) return;
      if (!owners.some((owner) => this.#uids.has(owner.uid))) this.#delete(stored);
    });
  }

  #enqueue(event: WatchEvent): void {
    this.#undelivered.push(event);
    if (this.#undelivered.length === 1) setImmediate(() => this.#deliver());
  }

  #deliver(): void {
    if (this.#held) return;
    const events = this.#undelivered;
    this.#undelivered = [];
    for (const event of events) {
      const { object } = event;
      const ofKind = this.#cache.get(kindKey(object)) ?? new Map<string, KubeObject>();
      this.#cache.set(kindKey(object), ofKind);
      if (event.type === "Deleted") ofKind.delete(orderKey(object));
      else ofKind.set(orderKey(object), object);
      for (const watcher of [...this.#watchers]) {
        if (this.#watchers.has(watcher)) this.#tell(watcher, event);
      }
    }
  }

  #tell(watcher: Watcher, event: WatchEvent): void {
    if (kindKey(event.object) !== kindKey(watcher.query)) return;
    const key = orderKey(event.object);
    const known = watcher.known.has(key);
    const there = event.type !== "Deleted" && matches(watcher.query, event.object);
    if (!there && !known) return;
    if (there) watcher.known.add(key);
    else watcher.known.delete(key);
    try {
      watcher.onChange({ type: there ? (known ? "Modified" : "Added") : "Deleted", object: event.object });
    } catch (thrown) {
      this.reported.push(thrown);
    }
  }
}

function kindKey(kind: ObjectKind): string {
  return `${kind.apiVersion}/${kind.kind}`;
}

function orderKey(object: KubeObject): string {
  return `${object.metadata.namespace ?? ""}/${object.metadata.name}`;
}

function matches(query: ListQuery, object: KubeObject): boolean {
  if (query.namespace !== undefined && query.namespace !== object.metadata.namespace) return false;
  return Object.entries(query.labels ?? {}).every(
    ([name, value]) => object.metadata.labels?.[name] === value,
  );
}

function wantedJson({ metadata: _, status: __, ...wanted }: KubeObject): string {
  return canonicalJson(wanted);
}

function seconds(): string {
  return `${new Date().toISOString().slice(0, 19)}Z`;
}

function defined<T extends object>(fields: T): T {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as T;
}

function freeze<T>(value: T): T {
  if (typeof value === "object" && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const field of Object.values(value)) freeze(field);
  }
  return value;
}
