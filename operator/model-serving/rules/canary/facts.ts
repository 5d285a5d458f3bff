import { deploymentName } from "../../names.ts";
import type { ObservedPod } from "../../observed.ts";
import type { CanaryStatus, Plan, Situation } from "../../plan.ts";
import { sameGraph } from "../../strategy.ts";
import { readyOf } from "../../workloads.ts";
import { canarySize, stepWeight } from "../scale.ts";
import type { UnderWay } from "./rollout.ts";

/** What can be seen of a rollout under way. */

/** What the pods of the stable track are to be. */
export function servingOf(
  situation: Situation,
  rollout: Pick<Plan, "stable" | "canary" | "failedRevisions">,
) {
  const { target } = situation;
  const { stable, canary, failedRevisions } = rollout;
  if (canary === undefined) {
    return failedRevisions.includes(target.name) ? (stable ?? target) : target;
  }
  // While the canary carries all requests, its revision replaces the stable pods.
  const replace = canary.phase === "Promoting" && canary.weightPercent === 100;
  const promoted = stable?.name === canary.revision;
  return (replace || promoted ? situation.revision(canary.revision) : stable) ?? stable ?? target;
}

/** Whether the rollout can still be judged: it is not being promoted, and not taken back. */
export function isOpen({ canary }: UnderWay): boolean {
  return canary.phase === "Starting" || canary.phase === "Stepping" || canary.phase === "Paused";
}

/** Whether the canary has the pods that a weight needs, all of them ready: Deployments count pods that have just left. */
export function canaryReadyFor(situation: Situation, rollout: UnderWay, weightPercent: number): boolean {
  const revision = situation.revision(rollout.canary.revision);
  if (revision === undefined) return false;
  const ready = Math.min(readyOf(situation, "canary", revision), readyPods(situation, rollout.canary));
  return ready >= canarySize(weightPercent, rollout.replicas);
}

export function currentStepWeight(situation: Situation, { canary }: UnderWay): number {
  return stepWeight(situation, canary.step);
}

/** When the step's hold ends, in milliseconds of the epoch; 0 before it begins. */
export function holdEnds({ spec }: Situation, { canary }: UnderWay): number {
  const began = millis(canary.stepStartedAt);
  return began === undefined ? 0 : began + (spec.canary?.steps[canary.step]?.holdSeconds ?? 0) * 1000;
}

export function millis(time: string | undefined): number | undefined {
  const value = time === undefined ? Number.NaN : Date.parse(time);
  return Number.isNaN(value) ? undefined : value;
}

export function podProblem({ name, observed }: Situation, { canary }: UnderWay): string | undefined {
  const pods = observed.pods.filter((pod) => pod.track === "canary" && pod.revision === canary.revision);
  const problem = pods.flatMap((pod) => pod.problems)[0];
  if (problem !== undefined) return `${problem.code}: ${problem.message}`;
  const unplaced = pods.find((pod) => pod.unschedulable !== undefined)?.unschedulable;
  if (unplaced !== undefined) return `a pod has no place: ${unplaced}`;
  const deployment = deploymentName(name, "canary");
  const refused = observed.workloads.get(deployment)?.podsRefused;
  return refused === undefined ? undefined : `a pod of ${deployment} is not admitted: ${refused}`;
}

/** The canary's pods, a group for each of its Deployments: a request needs a pod of each. */
export function canaryPodGroups(
  situation: Situation,
  canary: CanaryStatus,
): readonly (readonly ObservedPod[])[] {
  const { pod, steps } = situation.revision(canary.revision)?.input ?? { steps: [] };
  const nodes = [...(pod === undefined ? [] : [undefined]), ...steps.map(({ node }) => node)];
  const pods = situation.observed.pods.filter(
    ({ track, revision }) => track === "canary" && revision === canary.revision,
  );
  return nodes.map((node) => pods.filter((one) => one.node === node));
}

/** Ready pods of the group that has the fewest. A graph of other ModelServings has none, and needs none. */
export function readyPods(situation: Situation, canary: CanaryStatus): number {
  const ready = canaryPodGroups(situation, canary).map((pods) => pods.filter((pod) => pod.ready).length);
  return Math.min(...ready);
}

/** Restarts of the canary's serving containers since its pods began. */
export function restartsOf({ observed }: Situation, canary: CanaryStatus): number {
  return observed.pods
    .filter((pod) => pod.track === "canary" && pod.revision === canary.revision)
    .reduce((restarts, pod) => restarts + pod.restarts, 0);
}

/** Whether the way that this rollout goes is still the one that `spec` asks for. */
export function stillByCanary(situation: Situation, { stable, canary }: UnderWay): boolean {
  const revision = situation.revision(canary.revision);
  return (
    situation.spec.canary !== undefined ||
    (stable !== undefined && revision !== undefined && !sameGraph(stable, revision))
  );
}
