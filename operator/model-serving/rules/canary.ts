import type { Plan, Rule, Situation } from "../plan.ts";
import { isRouted, routerConfigOf } from "../router-config.ts";
import { byCanary } from "../strategy.ts";
import { isPure, isSettled } from "../workloads.ts";
import { takeAction } from "./actions.ts";
import { isApplied, readyRouters } from "./confirmation.ts";
import {
  canaryReadyFor,
  currentStepWeight,
  ended,
  numbers,
  promoting,
  type Rollout,
  restartsOf,
  rollingBack,
  started,
  stillByCanary,
  tell,
  toStep,
  type UnderWay,
  verdictOf,
} from "./rollout.ts";

/** What changes a rollout under way, or undefined where it does not apply now. */
type Transition = (situation: Situation, rollout: UnderWay) => Rollout | undefined;

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
  judgedBad, // What was seen is worse than what is allowed.
  tooLate, // It could not be judged for too long.
  podsReady, // The first pods serve: the first step can be asked for.
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
      message: waitsFor(situation, underWay).slice(0, 4096),
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

function lostInput(situation: Situation, rollout: UnderWay): Rollout | undefined {
  const known = rollout.stable !== undefined && situation.revision(rollout.canary.revision) !== undefined;
  if (known) return undefined;
  return tell(
    ended(rollout),
    "Warning",
    "RevisionLost",
    "A kept revision of the rollout was deleted: it ends here",
  );
}

function superseded(situation: Situation, rollout: UnderWay): Rollout | undefined {
  const { canary, stable } = rollout;
  const { target } = situation;
  if (canary.phase === "RollingBack" || canary.revision === stable?.name) return undefined;
  const end = { result: "Superseded", reason: "SpecChanged" } as const;
  if (target.name === stable?.name) {
    return rollingBack(situation, rollout, { ...end, message: `spec went back to revision ${target.name}` });
  }
  // A revision that is being promoted was judged good: it is carried through before the next one is tried.
  if (canary.phase === "Promoting") return undefined;
  if (target.name !== canary.revision) {
    return rollingBack(situation, rollout, { ...end, message: `spec asks for revision ${target.name} now` });
  }
  if (!stillByCanary(situation, rollout)) {
    return rollingBack(situation, rollout, { ...end, message: "spec asks for a rolling update now" });
  }
  return undefined;
}

function confirmed(situation: Situation, rollout: UnderWay): Rollout | undefined {
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

function finished(situation: Situation, rollout: UnderWay): Rollout | undefined {
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

/** Codes of a fetch that no retry cures: the bytes are not the ones that were asked for. */
const HOPELESS = new Set(["DigestMismatch", "SignatureInvalid"]);

function brokenModel(situation: Situation, rollout: UnderWay): Rollout | undefined {
  const { canary } = rollout;
  if (!isOpen(rollout)) return undefined;
  const problem = situation.observed.pods
    .filter((pod) => pod.track === "canary" && pod.revision === canary.revision)
    .flatMap((pod) => pod.problems)
    .find(({ code }) => HOPELESS.has(code));
  if (problem === undefined) return undefined;
  const { code, message } = problem;
  return rollingBack(situation, rollout, { result: "RolledBack", reason: code, message });
}

function refusedByRouters(situation: Situation, rollout: UnderWay): Rollout | undefined {
  const { canary } = rollout;
  if (!isOpen(rollout) || !isRouted(canary, rollout.stable)) return undefined;
  const { generation } = routerConfigOf(situation, { ...rollout, serving: servingOf(situation, rollout) });
  const refusing = readyRouters(situation).find(
    ({ report }) => report?.problem !== undefined && report.generation !== generation,
  );
  const problem = refusing?.report?.problem;
  // Only once this configuration was sent; a problem of the one before says nothing about it.
  if (problem === undefined || situation.observed.routerConfig?.generation !== generation) return undefined;
  const message = `${problem.message}: ${problem.remedy}`;
  return rollingBack(situation, rollout, { result: "RolledBack", reason: problem.code, message });
}

function judgedBad(situation: Situation, rollout: UnderWay): Rollout | undefined {
  if (!isOpen(rollout)) return undefined;
  const verdict = verdictOf(situation, rollout);
  if (verdict?.result === "Fail") {
    // The numbers that decided stay in how it ended.
    const judged = { ...rollout, canary: { ...rollout.canary, ...numbers(situation, rollout) } };
    const { reason, message } = verdict;
    return rollingBack(situation, judged, { result: "RolledBack", reason, message });
  }
  // Before the first step there are no requests to judge by, but a server that crashes needs none.
  const restarts = restartsOf(situation, rollout.canary);
  const allowed = situation.spec.canary?.analysis.maxRestarts;
  if (allowed === undefined || restarts <= allowed) return undefined;
  const message = podProblem(situation, rollout) ?? `${restarts} restarts, ${allowed} allowed`;
  return rollingBack(situation, rollout, { result: "RolledBack", reason: "CanaryRestarted", message });
}

function tooLate(situation: Situation, rollout: UnderWay): Rollout | undefined {
  const { canary } = rollout;
  if (canary.phase !== "Starting" && canary.phase !== "Stepping") return undefined;
  const { spec, now } = situation;
  const seconds = spec.canary?.progressDeadlineSeconds ?? spec.progressDeadlineSeconds;
  const since = Math.max(
    millis(canary.waitingSince ?? canary.startedAt) ?? now.getTime(),
    holdEnds(situation, rollout),
  );
  if (now.getTime() - since < seconds * 1000) return undefined;
  const message = `after ${seconds} s: ${waitsFor(situation, rollout)}`;
  return rollingBack(situation, rollout, {
    result: "RolledBack",
    reason: "ProgressDeadlineExceeded",
    message,
  });
}

function podsReady(situation: Situation, rollout: UnderWay): Rollout | undefined {
  const { canary } = rollout;
  if (canary.phase !== "Starting") return undefined;
  if (situation.observed.routing !== "Router" || readyRouters(situation).length === 0) return undefined;
  if (!canaryReadyFor(situation, rollout, currentStepWeight(situation, rollout))) return undefined;
  const steps = situation.spec.canary?.steps.length ?? 0;
  return steps === 0
    ? promoting(situation, rollout, "its pods are ready; there are no steps")
    : toStep(situation, rollout, 0);
}

function weightAskedFor(situation: Situation, rollout: UnderWay): Rollout | undefined {
  const { canary } = rollout;
  if (canary.phase !== "Stepping") return undefined;
  const weight = currentStepWeight(situation, rollout);
  if (canary.wantedWeightPercent === weight || !canaryReadyFor(situation, rollout, weight)) return undefined;
  return { ...rollout, canary: { ...canary, wantedWeightPercent: weight } };
}

function judgedGood(situation: Situation, rollout: UnderWay): Rollout | undefined {
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

function allToCanary(situation: Situation, rollout: UnderWay): Rollout | undefined {
  const { canary, stable } = rollout;
  if (canary.phase !== "Promoting" || canary.revision === stable?.name) return undefined;
  if (canary.wantedWeightPercent === 100 || !canaryReadyFor(situation, rollout, 100)) return undefined;
  if (situation.observed.routing !== "Router") return undefined;
  return { ...rollout, canary: { ...canary, wantedWeightPercent: 100 } };
}

function stableReplaced(situation: Situation, rollout: UnderWay): Rollout | undefined {
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

function takenBack(situation: Situation, rollout: UnderWay): Rollout | undefined {
  const { canary, stable } = rollout;
  if (canary.phase !== "RollingBack" || stable === undefined) return undefined;
  if (canary.wantedWeightPercent === undefined || canary.wantedWeightPercent === 0) return undefined;
  // Given up in mid-promotion, the stable track may be of both revisions; until it is whole, the canary carries on.
  if (canary.weightPercent === 100 && !isPure(situation, "stable", stable)) return undefined;
  return { ...rollout, canary: { ...canary, wantedWeightPercent: 0 } };
}

/** Whether the rollout can still be judged: it is not being promoted, and not taken back. */
function isOpen({ canary }: UnderWay): boolean {
  return canary.phase === "Starting" || canary.phase === "Stepping" || canary.phase === "Paused";
}

/** When the step's hold ends, in milliseconds of the epoch; 0 before it begins. */
function holdEnds({ spec }: Situation, { canary }: UnderWay): number {
  const began = millis(canary.stepStartedAt);
  return began === undefined ? 0 : began + (spec.canary?.steps[canary.step]?.holdSeconds ?? 0) * 1000;
}

function millis(time: string | undefined): number | undefined {
  const value = time === undefined ? Number.NaN : Date.parse(time);
  return Number.isNaN(value) ? undefined : value;
}

function podProblem({ observed }: Situation, { canary }: UnderWay): string | undefined {
  const pods = observed.pods.filter((pod) => pod.track === "canary" && pod.revision === canary.revision);
  const problem = pods.flatMap((pod) => pod.problems)[0];
  if (problem !== undefined) return `${problem.code}: ${problem.message}`;
  const unplaced = pods.find((pod) => pod.unschedulable !== undefined)?.unschedulable;
  return unplaced === undefined ? undefined : `a pod has no place: ${unplaced}`;
}

/** In words, for status. */
function waitsFor(situation: Situation, rollout: UnderWay): string {
  const { canary } = rollout;
  if (canary.wantedWeightPercent !== undefined && canary.wantedWeightPercent !== canary.weightPercent) {
    return `waiting for every router to apply ${canary.wantedWeightPercent} %`;
  }
  switch (canary.phase) {
    case "Paused":
      return "paused";
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
    return podProblem(situation, rollout) ?? "waiting for the canary's pods of the next step";
  }
  const verdict = verdictOf(situation, rollout);
  if (verdict?.result === "Inconclusive") return verdict.message;
  return "holding the step";
}
