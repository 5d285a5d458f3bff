import type { ObservedPod } from "../../observed.ts";
import type { CanaryStatus, Situation } from "../../plan.ts";
import { canaryPodGroups, canaryReadyFor, currentStepWeight, millis } from "./facts.ts";
import { type Rollout, tell, type UnderWay, withoutNumbers } from "./rollout.ts";

/** As often as this in a step it is bad luck; beyond it something draws it, and the canary is judged by it. */
const MOST_INTERRUPTIONS = 3;

/**
 * A canary whose pods were taken away (evicted, preempted, their node drained) has not failed. Its requests go to the
 * stable revision until it has pods again; then the step begins anew, or the promotion goes on. Often it is one pod, and
 * a drained node is all it takes.
 */
export function interrupted(situation: Situation, rollout: UnderWay): Rollout | undefined {
  const { canary, stable } = rollout;
  const { phase, weightPercent, wantedWeightPercent = 0, interruptions = 0 } = canary;
  // Without weight nobody waits for an answer of the canary. With all of it nobody else may be able to give one.
  if (wantedWeightPercent === 0 || weightPercent === 100) return undefined;
  if (phase !== "Stepping" && phase !== "Paused" && phase !== "Promoting") return undefined;
  if (interruptions >= MOST_INTERRUPTIONS || !wereTakenAway(situation, canary)) return undefined;
  const { stepStartedAt: _, ...rest } = withoutNumbers(canary);
  const held = phase === "Promoting" ? {} : { heldWeightPercent: wantedWeightPercent };
  return tell(
    {
      ...rollout,
      canary: {
        ...rest,
        ...held,
        wantedWeightPercent: 0,
        interruptions: interruptions + 1,
        waitingSince: situation.now.toISOString(),
      },
    },
    "Warning",
    "CanaryInterrupted",
    `The canary's pods were taken away: requests go to revision ${stable?.name ?? ""} until it has pods again`,
  );
}

/** Whether a step's weight was taken off the canary for want of pods. */
export function isInterrupted({ heldWeightPercent }: CanaryStatus): boolean {
  return heldWeightPercent !== undefined;
}

/** Its requests again, now that it has pods: as many as the step is for, or as it had while somebody paused it. */
export function resumed(situation: Situation, rollout: UnderWay): Rollout | undefined {
  const { heldWeightPercent, ...canary } = rollout.canary;
  if (heldWeightPercent === undefined) return undefined;
  const weight = canary.phase === "Paused" ? heldWeightPercent : currentStepWeight(situation, rollout);
  if (!canaryReadyFor(situation, rollout, weight)) return undefined;
  return { ...rollout, canary: { ...canary, wantedWeightPercent: weight } };
}

/** Whether a Deployment of the canary has none of the pods any more that it had, and those in their place come up. */
function wereTakenAway(situation: Situation, canary: CanaryStatus): boolean {
  // The API server tells the time of a creation in whole seconds.
  const since = (millis(canary.stepStartedAt ?? canary.waitingSince) ?? 0) - 1000;
  return canaryPodGroups(situation, canary).some((pods) =>
    pods.every((pod) => pod.leaving || isOnItsWayUp(pod, since)),
  );
}

/**
 * One that is still there from before and not ready, or that crashed, has failed by itself: a Deployment replaces no
 * such pod. (Where the operator's clock is behind the API server's, a failure may pass for an interruption, and is
 * judged when it has done so three times.)
 */
function isOnItsWayUp({ ready, restarts, problems, createdAt }: ObservedPod, since: number): boolean {
  return !ready && restarts === 0 && problems.length === 0 && (createdAt?.getTime() ?? 0) > since;
}
