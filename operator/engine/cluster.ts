import type { KubeObject, ObjectKind, ObjectRef } from "./objects.ts";

/**
 * Where resources live and children run. Two adapters: operator/kube (an API server) and operator/standalone
 * (files and processes). One contract suite, test/contract/cluster.ts, runs against both; where they differ,
 * Kubernetes is right.
 */
export interface Cluster {
  /**
   * One object as last seen, or undefined. Served from a cache that a watch keeps, so it can lag behind a write
   * by moments; a caller that must not act on a stale copy writes with `resourceVersion` and handles Conflict.
   * The object is shared: a caller never changes it.
   *
   * `metadata.resourceVersion` is a decimal integer that grows with every write (API servers promise this since
   * 1.35): of two copies of one object, the one with the larger number is the newer.
   */
  get(ref: ObjectRef): KubeObject | undefined;

  /** All objects of a kind as last seen; `namespace` and exact `labels` narrow it. Order is by namespace, name. */
  list(query: ListQuery): readonly KubeObject[];

  /**
   * Calls `onChange` with every object that is there, then with each that is added, changed or deleted, in
   * order, until `stop`. Nothing is called after `stop` returns. Resolves when the first listing is complete.
   * A handler that throws is reported and does not end the watch. `get` and `list` already show a change when
   * its handler is called. An object that no longer matches `labels` is reported as Deleted.
   * A kind that is not served is not an error: its watch is empty until it is.
   */
  watch(query: ListQuery, onChange: (event: WatchEvent) => void): Promise<{ stop(): void }>;

  /**
   * Server-side apply as field manager `naru-operator`, by force: makes the object hold every field given,
   * leaves other managers' fields, and drops fields that we applied before and no longer do. Creates what is
   * absent. `status` is ignored, and what changes nothing leaves `resourceVersion` as it was. Answers the stored
   * object and the managers from whom a field was taken (they held it with another value).
   * With `metadata.resourceVersion`, an object that is at another one is left alone (Conflict): for values that were
   * copied from what was seen, and that somebody else may have changed since. One that is gone is made anew.
   * @throws ClusterError Conflict, Forbidden, NamespaceTerminating, Invalid, Unavailable, NotServed (the kind's API is absent)
   */
  apply(object: KubeObject): Promise<{ object: KubeObject; takenFrom: readonly string[] }>;

  /**
   * Replaces `status` and nothing else, only if the object is still at `metadata.resourceVersion`. `generation`
   * stays: it counts changes of what the user wants, never of status or metadata.
   * @throws ClusterError Conflict, NotFound, Unavailable
   */
  updateStatus(object: KubeObject): Promise<KubeObject>;

  /** Deletes; absent is success. With `uid`, only that very object: another of its name is left alone. */
  delete(ref: ObjectRef, options?: { uid?: string }): Promise<void>;

  /** Records an Event about an object. Repeats are aggregated; it never throws and is never waited for. */
  event(event: ClusterEvent): void;

  /** Whether the kind can be read and applied now (an absent or forbidden API degrades one feature only). */
  serves(kind: ObjectKind): boolean;

  /**
   * Whether the kind is there and fails to be listed, though the server answers: what there is of it can't be told, so
   * nothing is made in its place.
   */
  hides(kind: ObjectKind): boolean;

  /**
   * Whether what `get` and `list` show of the kind in the namespace is what is there: not while nobody may read it, and
   * not before it was listed. Nothing can be told then from an object that they don't show.
   */
  shows(kind: ObjectKind, namespace: string): boolean;
}

export interface ListQuery extends ObjectKind {
  namespace?: string;
  labels?: Readonly<Record<string, string>>;
}

export interface WatchEvent {
  type: "Added" | "Modified" | "Deleted";
  object: KubeObject;
}

export interface ClusterEvent {
  about: ObjectRef;
  uid?: string;
  type: "Normal" | "Warning";
  /** CamelCase, stable. */
  reason: string;
  message: string;
}

export type ClusterErrorCode =
  | "Conflict"
  | "NotFound"
  | "Forbidden"
  | "NamespaceTerminating"
  | "Invalid"
  | "Unavailable"
  | "NotServed";

/**
 * `Unavailable` is worth a retry as it is; `Conflict` after reading again; `NamespaceTerminating` never, since whatever
 * is in the namespace goes; the others only after a change.
 */
export class ClusterError extends Error {
  readonly code: ClusterErrorCode;
  constructor(code: ClusterErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "ClusterError";
    this.code = code;
  }
}
