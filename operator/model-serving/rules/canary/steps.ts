import type { Situation } from "../../plan.ts";
import { routerConfigOf } from "../../router-config.ts";
import { isApplied, readyRouters } from "./confirmation.ts";
import { verdictOf } from "./evidence.ts";
import { canaryReadyFor, currentStepWeight, holdEnds, servingOf } from "./facts.ts";
import { isInterrupted } from "./interruption.ts";
import { promoting, type Rollout, tell, toStep, type UnderWay } from "./rollout.ts";

/** How a rollout goes from step to step: pods, weight, confirmation by the routers, hold, verdict. */

export function podsReady(situation: Situation, rollout: UnderWay): Rollout | undefined {
  const { canary } = rollout;
  if (canary.phase !== "Starting") return undefined;
  if (situation.observed.routing !== "Router" || readyRouters(situation).length === 0) return undefined;
  if (!canaryReadyFor(situation, rollout, currentStepWeight(situation, rollout))) return undefined;
  const steps = situation.spec.canary?.steps.length ?? 0;
  return steps === 0
    ? promoting(situation, rollout, "its pods are ready; there are no steps")
    : toStep(situation, rollout, 0);
}

export function weightAskedFor(situation: Situation, rollout: UnderWay): Rollout | undefined {
  const { canary } = rollout;
  if (canary.phase !== "Stepping" || isInterrupted(canary)) return undefined;
  const weight = currentStepWeight(situation, rollout);
  if (canary.wantedWeightPercent === weight || !canaryReadyFor(situation, rollout, weight)) return undefined;
  return { ...rollout, canary: { ...canary, wantedWeightPercent: weight } };
}

export function confirmed(situation: Situation, rollout: UnderWay): Rollout | undefined {
  const { canary } = rollout;
  const wanted = canary.wantedWeightPercent;
  if (wanted === undefined) return undefined;
  const step = canary.phase === "Stepping" || canary.phase === "Paused";
  const begins =
    step && canary.stepStartedAt === undefined && wanted === currentStepWeight(situation, rollout);
  if (wanted === canary.weightPercent && !begins) return undefined;
  // A step that no router applies has not begun; to take weight back from nobody is done at once.
  if (wanted > 0 && readyRouters(situation).length === 0) return undefined;
  const serving = servingOf(situation, rollout);
  const { generation } = routerConfigOf(situation, { ...rollout, serving });
  if (!isApplied(situation, generation)) return undefined;
  const at = situation.now.toISOString();
  const next = {
    ...rollout,
    canary: {
      ...canary,
      generation,
      weightPercent: wanted,
      waitingSince: at,
      ...(begins ? { stepStartedAt: at } : {}),
    },
  };
  return begins
    ? tell(
        next,
        "Normal",
        "StepStarted",
        `Step ${canary.step + 1} of ${canary.steps}: ${wanted} % of the requests go to revision ${canary.revision}`,
      )
    : next;
}

export function judgedGood(situation: Situation, rollout: UnderWay): Rollout | undefined {
  const { canary } = rollout;
  if (canary.phase !== "Stepping" || canary.stepStartedAt === undefined) return undefined;
  if (situation.now.getTime() < holdEnds(situation, rollout)) return undefined;
  if (!canaryReadyFor(situation, rollout, canary.weightPercent)) return undefined;
  if (verdictOf(situation, rollout)?.result !== "Pass") return undefined;
  const last = (situation.spec.canary?.steps.length ?? 0) - 1;
  return canary.step >= last
    ? promoting(situation, rollout, "every step passed")
    : toStep(situation, rollout, canary.step + 1);
}
