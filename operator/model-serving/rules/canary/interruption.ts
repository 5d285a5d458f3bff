import type { CanaryStatus, Situation } from "../../plan.ts";
import { canaryReadyFor, currentStepWeight, millis, readyPods } from "./facts.ts";
import { type Rollout, tell, type UnderWay } from "./rollout.ts";

/** As often as this it is bad luck; beyond it something about the canary's pods draws it, and it is judged by it. */
const MOST_INTERRUPTIONS = 3;

/**
 * A canary whose pods were taken away (evicted, their node drained or lost) has not failed. Its requests go to the stable
 * revision, and the step begins anew when it has pods again. Often it is one pod, and a drained node is all it takes.
 */
export function interrupted(situation: Situation, rollout: UnderWay): Rollout | undefined {
  const { canary, stable } = rollout;
  if (canary.phase !== "Stepping" && canary.phase !== "Paused") return undefined;
  const { stepStartedAt: _, interruptions = 0, ...rest } = canary;
  const { weightPercent: heldWeightPercent } = canary;
  // Without weight nobody waits for an answer of the canary.
  if (heldWeightPercent === 0 || isInterrupted(canary)) return undefined;
  if (interruptions >= MOST_INTERRUPTIONS || !wereTakenAway(situation, canary)) return undefined;
  return tell(
    {
      ...rollout,
      canary: { ...rest, wantedWeightPercent: 0, heldWeightPercent, interruptions: interruptions + 1 },
    },
    "Warning",
    "StepInterrupted",
    `Step ${canary.step + 1} of ${canary.steps}: the canary's pods were taken away. Its requests go to revision ${stable?.name ?? ""} until it has pods again`,
  );
}

/** Whether the canary's weight was taken off it for want of pods. */
export function isInterrupted({ heldWeightPercent }: CanaryStatus): boolean {
  return heldWeightPercent !== undefined;
}

/** Its requests again, now that it has pods: as many as the step is for, or as it had while somebody paused it. */
export function resumed(situation: Situation, rollout: UnderWay): Rollout | undefined {
  const { heldWeightPercent, ...canary } = rollout.canary;
  if (heldWeightPercent === undefined) return undefined;
  const weight = canary.phase === "Paused" ? heldWeightPercent : currentStepWeight(situation, rollout);
  // A Deployment's count may still be of the pods that were taken away.
  if (readyPods(situation, canary) === 0 || !canaryReadyFor(situation, rollout, weight)) return undefined;
  return { ...rollout, canary: { ...canary, wantedWeightPercent: weight } };
}

/**
 * Whether the pods that the step began with, or is waited for with, are gone, and those in their place are on their way up. One that is still
 * there and not ready, or that crashed, has failed by itself: a Deployment replaces no such pod.
 */
function wereTakenAway({ observed }: Situation, canary: CanaryStatus): boolean {
  const pods = observed.pods.filter(
    (pod) => pod.track === "canary" && pod.revision === canary.revision && !pod.leaving,
  );
  // The API server knows of a creation's time whole seconds only.
  const began = (millis(canary.stepStartedAt ?? canary.waitingSince) ?? 0) - 1000;
  return pods.every(
    ({ ready, restarts, problems, createdAt }) =>
      !ready && restarts === 0 && problems.length === 0 && (createdAt?.getTime() ?? 0) > began,
  );
}
