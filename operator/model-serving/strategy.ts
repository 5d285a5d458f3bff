import { sameJson } from "../engine/canonical.ts";
import type { Situation } from "./plan.ts";
import type { Revision } from "./revision.ts";

/** Whether the routers' graph is the same for both revisions (none in both is the same). */
export function sameGraph(a: Revision, b: Revision): boolean {
  return sameJson(a.input.graph ?? null, b.input.graph ?? null);
}

/**
 * How a new revision comes in. Beside the old one, if `spec` asks for a canary; also if the graph changes: pods of
 * both could not stand behind one router configuration. In place where nothing serves yet or nothing is to: there
 * is no traffic to compare by.
 */
export function byCanary(
  { spec, target }: Situation,
  stable: Revision | undefined,
  replicas: number,
): boolean {
  if (stable === undefined || replicas === 0) return false;
  return spec.canary !== undefined || !sameGraph(stable, target);
}
