import type { Cluster, ClusterErrorCode, ClusterEvent } from "./cluster.ts";
import type { KubeObject, ObjectKind, ObjectRef } from "./objects.ts";

/** What a reconcile wants: pure output of a kind's `decide`. */
export interface Decision {
  /**
   * Every child that should exist, complete, with owner reference and deterministic name, in the order in which
   * they are applied. Others are pruned. ControllerRevisions are written before `status`, the rest after it. One that
   * has a resourceVersion is applied only on that version; on another it is decided anew.
   */
  readonly children: readonly KubeObject[];
  /**
   * Absent: children that are not in the list are pruned. False: they stay as they are, for a resource that can't be
   * read: what it serves is not taken away because of that.
   */
  readonly prune?: false;
  /** The whole status; written only when it differs. */
  readonly status: unknown;
  /** Recorded once `status` is stored, so that a transition is told once even if its children must be retried. */
  readonly events: readonly Omit<ClusterEvent, "about" | "uid">[];
  /** Milliseconds until it should be decided again though nothing changed; undefined: only on a change. */
  readonly requeueAfter?: number;
}

/** A child that the cluster refused at the last attempt; it is tried again with backoff. */
export interface ChildFailure {
  readonly ref: ObjectRef;
  /** `NameTaken`: an object of that name exists and belongs to somebody else, who stays; `Conflict`: who leaves. */
  readonly code: ClusterErrorCode | "NameTaken";
  readonly message: string;
}

/** A condition that status may hold, as metrics tell of it. */
export interface KindCondition {
  readonly type: string;
  /** The status that is as it should be; absent: none of them needs anybody, and resources are only counted. */
  readonly wanted?: "True" | "False";
  /** Asked of every resource: where status does not hold it, nobody has answered yet. */
  readonly always?: true;
}

/** One kind of resource, as the engine runs it. `Observed` is what its decisions read beside the resource. */
export interface ControlledKind<Observed> {
  readonly kind: ObjectKind;
  /** Kinds of children: watched, and pruned when owned and no longer wanted. Those not served are left out. */
  readonly owns: readonly ObjectKind[];
  /** Kinds that are read and not owned (Pods of Deployments); `keyOf` names the resource that a change concerns. */
  readonly reads: readonly {
    kind: ObjectKind;
    keyOf(object: KubeObject): { namespace: string; name: string } | undefined;
  }[];
  /**
   * Kinds without which nothing can be decided: where one of them can't be read, what was made and what is remembered
   * would look as if it were not there. None by default.
   */
  readonly needs?: readonly ObjectKind[];
  /** Those of `owns` that a cluster may be without: a feature is missing then, and status says so. None by default. */
  readonly addOns?: readonly ObjectKind[];
  /** Those that metrics tell of. None by default. */
  readonly conditions?: readonly KindCondition[];
  /**
   * Reads, never writes, but for what a router must be told. Cut off by `signal` after 30 s, and when the controller
   * stops. `owned`: the objects of the kinds in `owns` that the resource controls, as the cache shows them.
   */
  observe(
    resource: KubeObject,
    cluster: Cluster,
    signal: AbortSignal,
    owned: readonly KubeObject[],
  ): Promise<Observed>;
  /** Pure. `failures` lets status say that a child could not be made; a kind that does not care leaves it out. */
  decide(resource: KubeObject, observed: Observed, now: Date, failures?: readonly ChildFailure[]): Decision;
}
