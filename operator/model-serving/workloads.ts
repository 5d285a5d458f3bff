import { deploymentName, stepName, type Track } from "./names.ts";
import type { Workload } from "./observed.ts";
import type { Situation } from "./plan.ts";
import type { Revision } from "./revision.ts";

/** Facts about the Deployments of a track. */

/** The Deployment that stands for a track: the serving pods', or for a graph without any the first step's. */
export function servingWorkload(situation: Situation, track: Track): Workload | undefined {
  const { name, observed, target } = situation;
  const own = observed.workloads.get(deploymentName(name, track));
  if (own !== undefined) return own;
  const [step] = target.input.steps;
  return step === undefined ? undefined : observed.workloads.get(stepName(name, step.node, track));
}

/** Every Deployment that a revision has in a track; undefined in the place of one that is not there. */
export function workloadsOf(
  { name, observed }: Situation,
  track: Track,
  { input }: Revision,
): (Workload | undefined)[] {
  const names = [
    ...(input.pod === undefined ? [] : [deploymentName(name, track)]),
    ...input.steps.map(({ node }) => stepName(name, node, track)),
  ];
  return names.map((workload) => observed.workloads.get(workload));
}

/** Whether all pods of a track are of this revision and no older ones are left. */
export function isPure(situation: Situation, track: Track, revision: Revision): boolean {
  return workloadsOf(situation, track, revision).every(
    (workload) =>
      workload?.revision === revision.name && workload.current && workload.updated === workload.pods,
  );
}

/** Pods of this revision that are ready, in the Deployment that has the fewest; none while older ones are left. */
export function readyOf(situation: Situation, track: Track, revision: Revision): number {
  if (!isPure(situation, track, revision)) return 0;
  const ready = workloadsOf(situation, track, revision).map((workload) => workload?.ready ?? 0);
  // A revision without pods of its own (a graph of other ModelServings) is as ready as it can be.
  return ready.length === 0 ? Number.POSITIVE_INFINITY : Math.min(...ready);
}

/** Whether the track is entirely this revision, at this size and ready: nothing is left to wait for. */
export function isSettled(situation: Situation, track: Track, revision: Revision, replicas: number): boolean {
  const sized = workloadsOf(situation, track, revision).every(
    (workload) => workload?.replicas === replicas && workload.pods === replicas,
  );
  return sized && readyOf(situation, track, revision) >= replicas;
}
