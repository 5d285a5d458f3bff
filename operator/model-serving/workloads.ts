import { deploymentName, stepName, type Track } from "./names.ts";
import type { Workload } from "./observed.ts";
import type { Situation } from "./plan.ts";
import type { Revision } from "./revision.ts";

/** Facts about the Deployments of a track. */

/** The Deployment that stands for a track: the serving pods', or for a graph without any its first step's. */
export function servingWorkload(situation: Situation, track: Track): Workload | undefined {
  const { name, observed, target, before } = situation;
  const own = observed.workloads.get(deploymentName(name, track));
  if (own !== undefined) return own;
  // What has pods may be another graph than the one that is asked for, with other steps.
  const serves = track === "stable" ? before.revision : before.canary?.revision;
  const revisions = [serves === undefined ? undefined : situation.revision(serves), target];
  return revisions
    .flatMap((revision) => revision?.input.steps ?? [])
    .map(({ node }) => observed.workloads.get(stepName(name, node, track)))
    .find((workload) => workload !== undefined);
}

/** The Deployment whose count is copied into what is applied; undefined where `spec` gives the count. */
export function countedFrom(situation: Situation): Workload | undefined {
  const { autoscaling, replicas } = situation.spec;
  return autoscaling === undefined && replicas !== undefined
    ? undefined
    : servingWorkload(situation, "stable");
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

/** Ready pods of the Deployment that has the fewest: a request needs one of each. Of whatever revision they are. */
export function leastReady(situation: Situation, track: Track, revision: Revision): number {
  const ready = workloadsOf(situation, track, revision).map((workload) => workload?.ready ?? 0);
  // A revision without pods of its own (a graph of other ModelServings) is as ready as it can be.
  return ready.length === 0 ? Number.POSITIVE_INFINITY : Math.min(...ready);
}

/** Whether all pods of a track are of this revision and no older ones are left. */
export function isPure(situation: Situation, track: Track, revision: Revision): boolean {
  return workloadsOf(situation, track, revision).every(
    (workload) =>
      workload?.revision === revision.name && workload.current && workload.updated === workload.pods,
  );
}

/** The same, of this revision: none while older ones are left. */
export function readyOf(situation: Situation, track: Track, revision: Revision): number {
  return isPure(situation, track, revision) ? leastReady(situation, track, revision) : 0;
}

/** Whether the track is entirely this revision, at this size and ready: nothing is left to wait for. */
export function isSettled(situation: Situation, track: Track, revision: Revision, replicas: number): boolean {
  const sized = workloadsOf(situation, track, revision).every(
    (workload) => workload?.replicas === replicas && workload.pods === replicas,
  );
  return sized && isPure(situation, track, revision) && leastReady(situation, track, revision) >= replicas;
}
