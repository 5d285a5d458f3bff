import type { ObservedRouter } from "../../observed.ts";
import type { Situation } from "../../plan.ts";

/**
 * Whether every router applies a generation. A router that is not ready takes no new requests and does not count,
 * so a dead one holds nothing up; one that is on its way out and still answers does, since it forwards what it has.
 */
export function isApplied({ observed }: Situation, generation: string): boolean {
  return observed.routers.filter(counts).every(({ report }) => report?.generation === generation);
}

/** Routers that take new requests. */
export function readyRouters({ observed }: Situation): readonly ObservedRouter[] {
  return observed.routers.filter((router) => router.ready);
}

function counts(router: ObservedRouter): boolean {
  return router.ready || (router.leaving && router.report !== undefined);
}
