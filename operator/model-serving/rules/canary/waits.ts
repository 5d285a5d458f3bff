import type { Situation } from "../../plan.ts";
import { readyRouters } from "./confirmation.ts";
import { verdictOf } from "./evidence.ts";
import { podProblem } from "./facts.ts";
import { isInterrupted } from "./interruption.ts";
import type { UnderWay } from "./rollout.ts";

/** What a rollout waits for, in words, for status. */
export function waitsFor(situation: Situation, rollout: UnderWay): string {
  const { canary } = rollout;
  if (canary.wantedWeightPercent !== undefined && canary.wantedWeightPercent !== canary.weightPercent) {
    return `waiting for every router to apply ${canary.wantedWeightPercent} %`;
  }
  switch (canary.phase) {
    case "Paused":
      return isInterrupted(canary) ? steppingWaitsFor(situation, rollout) : "paused";
    case "RollingBack":
      return "waiting for the stable pods to be whole";
    case "Promoting":
      return canary.weightPercent === 100
        ? "waiting for the stable pods to be of the new revision"
        : "waiting for the canary at full size";
    case "Starting":
      return podProblem(situation, rollout) ?? startingWaitsFor(situation);
    case "Stepping":
      return steppingWaitsFor(situation, rollout);
  }
}

function startingWaitsFor(situation: Situation): string {
  const routed = situation.observed.routing === "Router" && readyRouters(situation).length > 0;
  return routed ? "waiting for the canary's pods" : "waiting for the routers";
}

function steppingWaitsFor(situation: Situation, rollout: UnderWay): string {
  if (rollout.canary.stepStartedAt === undefined) {
    const pods = isInterrupted(rollout.canary)
      ? "pods in place of those that were taken away"
      : "the canary's pods of the next step";
    return podProblem(situation, rollout) ?? `waiting for ${pods}`;
  }
  const verdict = verdictOf(situation, rollout);
  if (verdict?.result === "Inconclusive") return verdict.message;
  return "holding the step";
}
