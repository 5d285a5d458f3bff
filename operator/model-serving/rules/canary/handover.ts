import type { Situation } from "../../plan.ts";
import { routerConfigOf } from "../../router-config.ts";
import { isPure, isSettled } from "../../workloads.ts";
import { isApplied } from "./confirmation.ts";
import { canaryReadyFor, servingOf } from "./facts.ts";
import { ended, type Rollout, tell, type UnderWay } from "./rollout.ts";

/**
 * How the requests change hands at the end, so that there is always somebody whole to answer them. Promotion: all to
 * the canary, then to the stable pods once they are of its revision. Rollback: to the stable pods once they are whole.
 */

export function allToCanary(situation: Situation, rollout: UnderWay): Rollout | undefined {
  const { canary, stable } = rollout;
  if (canary.phase !== "Promoting" || canary.revision === stable?.name) return undefined;
  if (canary.wantedWeightPercent === 100 || !canaryReadyFor(situation, rollout, 100)) return undefined;
  if (situation.observed.routing !== "Router") return undefined;
  return { ...rollout, canary: { ...canary, wantedWeightPercent: 100 } };
}

export function stableReplaced(situation: Situation, rollout: UnderWay): Rollout | undefined {
  const { canary, stable, replicas } = rollout;
  if (canary.phase !== "Promoting" || canary.weightPercent !== 100) return undefined;
  const revision = situation.revision(canary.revision);
  if (revision === undefined || revision.name === stable?.name) return undefined;
  if (!isSettled(situation, "stable", revision, replicas)) return undefined;
  return {
    ...rollout,
    stable: revision,
    canary: { ...canary, wantedWeightPercent: 0 },
    lastRollout: {
      revision: revision.name,
      result: "Promoted",
      reason: "Promoted",
      message: `every pod is of revision ${revision.name}`,
      finishedAt: situation.now.toISOString(),
      attempt: canary.attempt,
      step: canary.step,
      requests: canary.requests,
    },
    failedRevisions: rollout.failedRevisions.filter((failed) => failed !== revision.name),
  };
}

export function takenBack(situation: Situation, rollout: UnderWay): Rollout | undefined {
  const { canary, stable } = rollout;
  if (canary.phase !== "RollingBack" || stable === undefined) return undefined;
  if (canary.wantedWeightPercent === undefined || canary.wantedWeightPercent === 0) return undefined;
  // Given up in mid-promotion, the stable track may be of both revisions; until it is whole, the canary carries on.
  if (canary.weightPercent === 100 && !isPure(situation, "stable", stable)) return undefined;
  return { ...rollout, canary: { ...canary, wantedWeightPercent: 0 } };
}

export function finished(situation: Situation, rollout: UnderWay): Rollout | undefined {
  const { canary, stable } = rollout;
  const promoted = canary.phase === "Promoting" && canary.revision === stable?.name;
  if (canary.phase !== "RollingBack" && !promoted) return undefined;
  // Routers that were never told of the canary have nothing to let go of.
  const told = canary.wantedWeightPercent !== undefined;
  if (told && (canary.wantedWeightPercent !== 0 || canary.weightPercent !== 0)) return undefined;
  if (told) {
    const serving = servingOf(situation, rollout);
    const { generation } = routerConfigOf(situation, { ...rollout, serving });
    if (!isApplied(situation, generation)) return undefined;
  }
  const message = promoted
    ? `Revision ${canary.revision} is promoted`
    : `All requests go to revision ${stable?.name ?? ""} again`;
  return tell(ended(rollout), "Normal", promoted ? "RolloutComplete" : "RollbackComplete", message);
}
