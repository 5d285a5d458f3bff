import { randomUUID } from "node:crypto";
import { isDeepStrictEqual } from "node:util";
import { ClusterError, type ListQuery, type WatchEvent } from "../engine/cluster.ts";
import { rfc3339 } from "../engine/conditions.ts";
import type { KubeObject, ObjectMeta, ObjectRef } from "../engine/objects.ts";
import { refKey, refOf } from "../engine/objects.ts";
import { applyFields, ownedAnnotations } from "./fields.ts";

interface Watcher {
  readonly query: ListQuery;
  readonly deliver: (event: WatchEvent) => void;
  /** What it was told last, by key. */
  readonly told: Map<string, KubeObject>;
  /** Keys that changed since. */
  readonly changed: Set<string>;
  stopped: boolean;
}

export interface StoreOptions {
  now: () => Date;
  /** Told of a watch handler that threw. */
  onHandlerError: (error: unknown) => void;
  /** Kinds whose deletion is only asked for, and ends with `remove` (a pod's process ends first). */
  graceful: ReadonlySet<string>;
}

const deletedOwnersKept = 1000;
const nameRule = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;

function keyOf(ref: ObjectRef): string {
  return refKey({ ...ref, namespace: ref.namespace || "default" });
}

function freeze<T>(value: T): T {
  if (typeof value !== "object" || value === null || Object.isFrozen(value)) return value;
  for (const child of Object.values(value)) freeze(child);
  return Object.freeze(value);
}

function matches(object: KubeObject, query: ListQuery): boolean {
  if (object.kind !== query.kind || object.apiVersion !== query.apiVersion) return false;
  if (query.namespace !== undefined && object.metadata.namespace !== query.namespace) return false;
  const labels = object.metadata.labels ?? {};
  return Object.entries(query.labels ?? {}).every(([name, value]) => labels[name] === value);
}

/**
 * All objects of a standalone Naru, in memory, with what an API server adds: uid, resourceVersion, generation,
 * field managers, watches and the garbage collection of owned objects. Objects handed out are frozen.
 */
export class Store {
  readonly #options: StoreOptions;
  readonly #objects = new Map<string, KubeObject>();
  readonly #watchers = new Set<Watcher>();
  readonly #deletedOwners = new Set<string>();
  #version = 0;
  /** Called after each change. */
  onChange: () => void = () => undefined;

  constructor(options: StoreOptions) {
    this.#options = options;
  }

  get(ref: ObjectRef): KubeObject | undefined {
    return this.#objects.get(keyOf(ref));
  }

  list(query: ListQuery): KubeObject[] {
    const order = (o: KubeObject) => `${o.metadata.namespace}\u0000${o.metadata.name}`;
    return [...this.#objects.values()]
      .filter((object) => matches(object, query))
      .sort((a, b) => (order(a) < order(b) ? -1 : 1));
  }

  all(): KubeObject[] {
    return [...this.#objects.values()];
  }

  /** Puts back what `all` gave in an earlier life, as it was. */
  restore(objects: readonly KubeObject[]): void {
    for (const object of objects) {
      this.#version = Math.max(this.#version, Number(object.metadata.resourceVersion ?? 0));
      this.#objects.set(keyOf(refOf(object)), freeze(object));
    }
  }

  /**
   * Events come from a microtask of their own, so that a handler may write without being re-entered; what changes
   * twice before it is told as one change.
   */
  watch(query: ListQuery, deliver: (event: WatchEvent) => void): { stop(): void } {
    const watcher: Watcher = { query, deliver, told: new Map(), changed: new Set(), stopped: false };
    this.#watchers.add(watcher);
    for (const object of this.list(query)) this.#offer(watcher, object);
    return {
      stop: () => {
        watcher.stopped = true;
        this.#watchers.delete(watcher);
      },
    };
  }

  /**
   * Server-side apply, by force.
   * @throws ClusterError Conflict where it is stored with another `metadata.resourceVersion` than is given; Invalid
   */
  apply(object: KubeObject, manager: string): { object: KubeObject; takenFrom: readonly string[] } {
    const ref = refOf(object);
    const live = this.get(ref);
    const { resourceVersion, ...metadata } = object.metadata;
    const seen = resourceVersion ?? live?.metadata.resourceVersion;
    if (live !== undefined && seen !== live.metadata.resourceVersion) {
      throw new ClusterError("Conflict", `${ref.kind}/${ref.name} has changed since it was read`);
    }
    if (!nameRule.test(ref.name) || ref.name.length > 253) {
      throw new ClusterError(
        "Invalid",
        `${ref.kind} "${ref.name}": metadata.name must be lower-case letters, digits, - and .`,
      );
    }
    const named = { ...object, metadata: { ...metadata, namespace: ref.namespace || "default" } };
    const result = applyFields(live, structuredClone(named), manager);
    return { object: this.#write(live, result.object), takenFrom: result.takenFrom };
  }

  /** Sets annotations as `manager`; null removes one, whoever owns it. */
  annotate(
    ref: ObjectRef,
    manager: string,
    annotations: Readonly<Record<string, string | null>>,
  ): KubeObject {
    const live = this.#existing(ref);
    const owned = ownedAnnotations(live, manager);
    const kept = Object.entries(live.metadata.annotations ?? {}).filter(([name]) => owned.has(name));
    const wanted: Record<string, string | null> = { ...Object.fromEntries(kept), ...annotations };
    const set = Object.entries(wanted).filter((entry): entry is [string, string] => entry[1] !== null);
    const identity = { apiVersion: ref.apiVersion, kind: ref.kind };
    const applied = {
      ...identity,
      metadata: { name: ref.name, namespace: ref.namespace, annotations: Object.fromEntries(set) },
    };
    const object = structuredClone(applyFields(live, applied, manager).object);
    for (const [name, value] of Object.entries(annotations)) {
      if (value === null && object.metadata.annotations) delete object.metadata.annotations[name];
    }
    return this.#write(live, object);
  }

  /** Replaces `status` only where the object is still at its resourceVersion. @throws ClusterError */
  updateStatus(object: KubeObject): KubeObject {
    const live = this.#existing(refOf(object));
    if (live.metadata.resourceVersion !== object.metadata.resourceVersion) {
      throw new ClusterError(
        "Conflict",
        `${object.kind}/${object.metadata.name} has changed since it was read`,
      );
    }
    return this.#write(live, { ...live, status: structuredClone(object.status) });
  }

  /** Standalone's own controllers: changes an object in place; absent is undefined. */
  update(ref: ObjectRef, change: (draft: KubeObject) => void): KubeObject | undefined {
    const live = this.get(ref);
    if (live === undefined) return undefined;
    const draft = structuredClone(live);
    change(draft);
    return this.#write(live, draft);
  }

  /** Standalone's own controllers: adds an object that nobody applies. */
  create(object: KubeObject): KubeObject {
    return this.#write(undefined, structuredClone(object));
  }

  /** Deletes, or marks as deleted what has finalizers or ends gracefully. Absent, or of another uid, is success. */
  delete(ref: ObjectRef, uid?: string): void {
    const live = this.get(ref);
    if (live === undefined || (uid !== undefined && live.metadata.uid !== uid)) return;
    if (!this.#options.graceful.has(live.kind) && (live.metadata.finalizers ?? []).length === 0) {
      this.remove(live);
      return;
    }
    if (live.metadata.deletionTimestamp !== undefined) return;
    this.#write(live, {
      ...live,
      metadata: { ...live.metadata, deletionTimestamp: rfc3339(this.#options.now()) },
    });
  }

  /** Takes an object out at once, and everything that it alone owned. */
  remove(object: KubeObject): void {
    const { uid } = object.metadata;
    if (!this.#objects.delete(keyOf(refOf(object)))) return;
    this.#version += 1;
    this.#announce(object);
    if (uid === undefined) return;
    this.#deletedOwners.add(uid);
    for (const first of this.#deletedOwners) {
      if (this.#deletedOwners.size <= deletedOwnersKept) break;
      this.#deletedOwners.delete(first);
    }
    for (const other of this.all()) if (this.#isOrphan(other)) this.delete(refOf(other), other.metadata.uid);
  }

  #isOrphan(object: KubeObject): boolean {
    const owners = object.metadata.ownerReferences ?? [];
    return owners.length > 0 && owners.every((owner) => this.#deletedOwners.has(owner.uid));
  }

  #existing(ref: ObjectRef): KubeObject {
    const live = this.get(ref);
    if (live === undefined) throw new ClusterError("NotFound", `${ref.kind}/${ref.name} does not exist`);
    return live;
  }

  #write(live: KubeObject | undefined, next: KubeObject): KubeObject {
    if (live !== undefined && isDeepStrictEqual(next, live)) return live;
    const content = ({ metadata: _, status: __, ...rest }: KubeObject) => rest;
    const generation = live?.metadata.generation ?? 0;
    const changed = live === undefined || !isDeepStrictEqual(content(live), content(next));
    this.#version += 1;
    const metadata: ObjectMeta = {
      ...next.metadata,
      uid: live?.metadata.uid ?? randomUUID(),
      creationTimestamp: live?.metadata.creationTimestamp ?? rfc3339(this.#options.now()),
      generation: changed ? generation + 1 : generation,
      resourceVersion: String(this.#version),
    };
    const stored = freeze({ ...next, metadata });
    const finished = metadata.deletionTimestamp !== undefined && !this.#options.graceful.has(stored.kind);
    this.#objects.set(keyOf(refOf(stored)), stored);
    this.#announce(stored);
    if (finished && (metadata.finalizers ?? []).length === 0) this.remove(stored);
    else if (live === undefined && this.#isOrphan(stored)) this.delete(refOf(stored));
    return stored;
  }

  #announce(object: KubeObject): void {
    for (const watcher of this.#watchers) this.#offer(watcher, object);
    this.onChange();
  }

  #offer(watcher: Watcher, object: KubeObject): void {
    if (object.kind !== watcher.query.kind) return;
    watcher.changed.add(keyOf(refOf(object)));
    if (watcher.changed.size === 1) queueMicrotask(() => this.#drain(watcher));
  }

  #drain(watcher: Watcher): void {
    // Emptied first: a handler may change what it is told of, and that is another change to be told.
    const changed = [...watcher.changed];
    watcher.changed.clear();
    for (const key of changed) {
      const before = watcher.told.get(key);
      const stored = this.#objects.get(key);
      const object = stored !== undefined && matches(stored, watcher.query) ? stored : undefined;
      if (object === before) continue;
      if (object === undefined) watcher.told.delete(key);
      else watcher.told.set(key, object);
      const same = before?.metadata.uid === object?.metadata.uid;
      if (before !== undefined && !same) this.#tell(watcher, { type: "Deleted", object: before });
      if (object !== undefined) this.#tell(watcher, { type: same ? "Modified" : "Added", object });
    }
  }

  #tell(watcher: Watcher, event: WatchEvent): void {
    if (watcher.stopped) return;
    try {
      watcher.deliver(event);
    } catch (error) {
      this.#options.onHandlerError(error);
    }
  }
}
