import { shortHash } from "../engine/canonical.ts";
import type { Cluster, ClusterEvent, ListQuery, WatchEvent } from "../engine/cluster.ts";
import { rfc3339 } from "../engine/conditions.ts";
import type { KubeObject, ObjectKind, ObjectRef } from "../engine/objects.ts";
import type { Store } from "./store.ts";
import { checkSupported, type Images, isKnownKind } from "./supported.ts";

export interface StandaloneClusterOptions {
  store: Store;
  images: Images;
  /** Kinds that are read from files. */
  isResource(kind: ObjectKind): boolean;
  now: () => Date;
}

const operatorManager = "naru-operator";
const eventKind = { apiVersion: "v1", kind: "Event" } as const;
const maxEvents = 500;
const maxMessage = 1024;

/** The adapter of Cluster that needs no API server: objects in a store, beside which processes run. */
export class StandaloneCluster implements Cluster {
  readonly #options: StandaloneClusterOptions;

  constructor(options: StandaloneClusterOptions) {
    this.#options = options;
  }

  get(ref: ObjectRef): KubeObject | undefined {
    return this.#options.store.get(ref);
  }

  list(query: ListQuery): readonly KubeObject[] {
    return this.#options.store.list(query);
  }

  async watch(query: ListQuery, onChange: (event: WatchEvent) => void): Promise<{ stop(): void }> {
    const watch = this.#options.store.watch(query, onChange);
    // What is there is told in a microtask that is queued already: it runs before whoever awaits this.
    await Promise.resolve();
    return watch;
  }

  async apply(object: KubeObject): Promise<{ object: KubeObject; takenFrom: readonly string[] }> {
    if (!this.#options.isResource(object)) checkSupported(object, this.#options.images);
    return this.#options.store.apply(object, operatorManager);
  }

  async updateStatus(object: KubeObject): Promise<KubeObject> {
    return this.#options.store.updateStatus(object);
  }

  async delete(ref: ObjectRef, options?: { uid?: string }): Promise<void> {
    this.#options.store.delete(ref, options?.uid);
  }

  event(event: ClusterEvent): void {
    const { store, now } = this.#options;
    const { about, uid, type, reason } = event;
    const message = event.message.slice(0, maxMessage);
    const name = `${about.name}.${shortHash([about.kind, uid, type, reason, message].join("\n"))}`;
    const namespace = about.namespace || "default";
    const ref = { ...eventKind, namespace, name };
    const lastTimestamp = rfc3339(now());
    const known = store.update(ref, (draft) => {
      draft.count = Number(draft.count) + 1;
      draft.lastTimestamp = lastTimestamp;
    });
    if (known !== undefined) return;
    store.create({
      ...eventKind,
      metadata: { name, namespace },
      involvedObject: { ...about, namespace, ...(uid === undefined ? {} : { uid }) },
      type,
      reason,
      message,
      count: 1,
      firstTimestamp: lastTimestamp,
      lastTimestamp,
    });
    const events = store.list(eventKind);
    if (events.length <= maxEvents) return;
    const oldest = events.reduce((a, b) => (String(a.lastTimestamp) <= String(b.lastTimestamp) ? a : b));
    store.remove(oldest);
  }

  serves(kind: ObjectKind): boolean {
    return this.#options.isResource(kind) || isKnownKind(kind);
  }

  hides(): boolean {
    return false;
  }

  shows(kind: ObjectKind): boolean {
    return this.serves(kind);
  }
}
