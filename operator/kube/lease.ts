import type { LeaseSpec } from "kubernetes-types/coordination/v1.js";
import type { KubeObject } from "../engine/objects.ts";

export const LEASE = { apiVersion: "coordination.k8s.io/v1", kind: "Lease" } as const;

/** A coordination.k8s.io/v1 Lease. Fields that an election does not know stay as they are. */
export interface Lease extends KubeObject {
  readonly spec?: LeaseSpec;
}

/**
 * Where one lease is kept. Both writes fail with ClusterError Conflict when somebody else was there first, which is
 * all that an election rests on: `create` when it exists, `replace` when it is not at the given resourceVersion.
 */
export interface LeaseStore {
  /** From the API server itself: a cache that lags would hide another holder. */
  read(signal: AbortSignal): Promise<Lease | undefined>;
  create(spec: LeaseSpec, signal: AbortSignal): Promise<Lease>;
  /** @throws ClusterError Conflict, NotFound, Unavailable, Forbidden */
  replace(lease: Lease, signal: AbortSignal): Promise<Lease>;
}

/**
 * The lease as its holder renews it, or as somebody takes it. The times are for people to read: no one compares them
 * with a clock, since clocks of two machines differ.
 */
export function heldBy(
  identity: string,
  before: LeaseSpec | undefined,
  now: Date,
  durationSeconds: number,
): LeaseSpec {
  const time = microTime(now, before?.renewTime);
  const ours = before?.holderIdentity === identity;
  return {
    ...before,
    holderIdentity: identity,
    leaseDurationSeconds: durationSeconds,
    acquireTime: ours ? (before.acquireTime ?? time) : time,
    renewTime: time,
    leaseTransitions: ours ? (before.leaseTransitions ?? 0) : nextTransition(before),
  };
}

/** The lease as its holder gives it back: nobody's, and valid for the shortest time that the API allows. */
export function givenBack(before: LeaseSpec, now: Date): LeaseSpec {
  const time = microTime(now);
  return { ...before, holderIdentity: "", leaseDurationSeconds: 1, acquireTime: time, renewTime: time };
}

/**
 * metav1.MicroTime: exactly six digits of a second, or the API server refuses it. A Date has three; the others count on
 * from the time before. So a renewal is always a change, also on a wall clock that stands still or was set back: a
 * write that changes nothing is none to the API server, and no sign of life to others.
 */
function microTime(now: Date, before?: string): string {
  const count = before === undefined ? 0 : (Number(before.slice(-4, -1)) + 1) % 1000;
  return now.toISOString().replace("Z", `${String(count).padStart(3, "0")}Z`);
}

/** The first holder counts as no transition. */
function nextTransition(before: LeaseSpec | undefined): number {
  return before?.holderIdentity === undefined ? 0 : (before.leaseTransitions ?? 0) + 1;
}
