import { cut } from "../../engine/text.ts";
import type { Rule, Situation } from "../plan.ts";
import { isRouted, routerConfigOf } from "../router-config.ts";
import { byCanary } from "../strategy.ts";
import { takeAction } from "./actions.ts";
import { numbers } from "./canary/evidence.ts";
import { restartsOf, servingOf } from "./canary/facts.ts";
import {
  brokenModel,
  judgedBad,
  lostInput,
  refusedByRouters,
  superseded,
  tooLate,
} from "./canary/failure.ts";
import { allToCanary, finished, stableReplaced, takenBack } from "./canary/handover.ts";
import { interrupted, resumed } from "./canary/interruption.ts";
import { type Rollout, started, type Transition, type UnderWay } from "./canary/rollout.ts";
import { confirmed, judgedGood, podsReady, weightAskedFor } from "./canary/steps.ts";
import { waitsFor } from "./canary/waits.ts";

/** A rollout that waits or is judged is looked at this often. */
const POLL_MILLISECONDS = 1000;

/** One whose routers are to confirm something: a rollback has 5 s to reach all of them. */
const CONFIRM_MILLISECONDS = 300;

/** More transitions than any rollout has states: a loop is a defect, and must not hang the operator. */
const MOST_TRANSITIONS = 64;

/**
 * The transitions of a canary rollout, in order; the first that applies is taken, and then all are asked again.
 * What can only get worse by waiting comes first: what ends a rollout, before what moves it on.
 */
const transitions: readonly Transition[] = [
  lostInput, // What was kept of the revisions is gone: nothing can be compared.
  superseded, // `spec` has moved on, to another revision or another way to roll out.
  confirmed, // All routers have what they were asked for: status may say so.
  finished, // They have let go of the canary: it may be removed.
  brokenModel, // Its pods say themselves that they never will serve.
  refusedByRouters, // The routers can't carry it, for instance since its tensors do not fit.
  interrupted, // Its pods were taken away: that is no failure, and until there are others it gets no requests.
  judgedBad, // What was seen is worse than what is allowed.
  tooLate, // It could not be judged for too long.
  podsReady, // The first pods serve: the first step can be asked for.
  resumed, // Pods are back in place of those that were taken away.
  weightAskedFor, // There are enough pods for the step's weight.
  judgedGood, // The step has passed: the next one, or promotion.
  allToCanary, // Promotion: at full size it takes all requests, so that the stable pods can be replaced.
  stableReplaced, // Promotion: the stable pods are of the new revision and take the requests back.
  takenBack, // Rollback: the stable pods are whole, so the requests go back to them.
];

/** Moves the rollout as far as what was observed allows. */
export const canaryRollout: Rule = (situation, plan) => {
  let rollout: Rollout = begin(situation, plan);
  rollout = takeAction(situation, rollout);
  for (let moves = 0; moves < MOST_TRANSITIONS; moves++) {
    const next = move(situation, rollout);
    if (next === undefined) break;
    rollout = next;
  }
  const { canary } = rollout;
  if (canary === undefined) return { ...rollout, serving: servingOf(situation, rollout) };
  const underWay: UnderWay = { ...rollout, canary };
  const { generation: _, message: _1, ...rest } = canary;
  const routed = isRouted(canary, rollout.stable);
  const judged = canary.phase === "Stepping" || canary.phase === "Paused";
  const serving = servingOf(situation, rollout);
  return {
    ...rollout,
    serving,
    canary: {
      ...rest,
      ...(judged ? numbers(situation, underWay) : { restarts: restartsOf(situation, canary) }),
      ...(routed || canary.phase === "RollingBack" || rollout.stable?.name === canary.revision
        ? { generation: routerConfigOf(situation, { ...rollout, serving }).generation }
        : {}),
      message: cut(waitsFor(situation, underWay), 4096),
    },
    requeue: [canary.wantedWeightPercent === canary.weightPercent ? POLL_MILLISECONDS : CONFIRM_MILLISECONDS],
  };
};

/** One transition, or the start of a rollout. */
function move(situation: Situation, rollout: Rollout): Rollout | undefined {
  const { canary } = rollout;
  if (canary === undefined) {
    const next = begin(situation, rollout);
    return next === rollout ? undefined : next;
  }
  const underWay: UnderWay = { ...rollout, canary };
  for (const transition of transitions) {
    const next = transition(situation, underWay);
    if (next !== undefined) return next;
  }
  return undefined;
}

/** Starts a rollout by canary where `spec` asks for a revision that is neither the stable one nor a failed one. */
function begin<T extends Rollout>(situation: Situation, rollout: T): T | Rollout {
  const { target } = situation;
  const { stable, canary, failedRevisions, lastRollout, replicas } = rollout;
  if (canary !== undefined || stable === undefined || stable.name === target.name) return rollout;
  if (failedRevisions.includes(target.name) || !byCanary(situation, stable, replicas)) return rollout;
  const again = lastRollout?.revision === target.name && lastRollout.result !== "Promoted";
  return started(situation, rollout, again ? (lastRollout.attempt ?? 0) + 1 : 0);
}
