import {
  type Analysis,
  type Evidence,
  judge,
  type Numbers,
  numbersOf,
  type Verdict,
} from "../../analysis.ts";
import type { Situation } from "../../plan.ts";
import { readyPods, restartsOf } from "./facts.ts";
import { NO_NUMBERS, type UnderWay } from "./rollout.ts";

export function verdictOf(situation: Situation, rollout: UnderWay): Verdict | undefined {
  const evidence = evidenceOf(situation, rollout);
  return evidence === undefined ? undefined : judge(evidence);
}

export function numbers(situation: Situation, rollout: UnderWay): Numbers {
  const evidence = evidenceOf(situation, rollout);
  return evidence === undefined
    ? { ...NO_NUMBERS, restarts: restartsOf(situation, rollout.canary) }
    : numbersOf(evidence);
}

/** What the running step has shown so far; undefined without a step that has begun and an analysis. */
function evidenceOf(situation: Situation, rollout: UnderWay): Evidence | undefined {
  const analysis = analysisOf(situation);
  const { canary, stable } = rollout;
  if (analysis === undefined || stable === undefined || canary.stepStartedAt === undefined) return undefined;
  const revision = situation.revision(canary.revision);
  return {
    analysis,
    weightPercent: canary.weightPercent,
    reports: situation.observed.routers
      .map(({ report }) => report)
      .filter((report) => report !== undefined)
      .filter((report) => report.generation === canary.generation),
    canary: canary.revision,
    stable: stable.name,
    restarts: restartsOf(situation, canary),
    ready: revision === undefined ? 0 : readyPods(situation, canary),
  };
}

function analysisOf({ spec }: Situation): Analysis | undefined {
  return spec.canary?.analysis;
}
