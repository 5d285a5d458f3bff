import { cut } from "../../../engine/text.ts";
import type { Numbers } from "../../analysis.ts";
import type { CanaryStatus, LastRollout, Plan, Situation, Told } from "../../plan.ts";

/** What a rollout is, and its states. When it is time to go from one to the next, its transitions say. */

/** The part of the plan that a rollout changes. */
export type Rollout = Pick<
  Plan,
  | "stable"
  | "serving"
  | "canary"
  | "lastRollout"
  | "failedRevisions"
  | "handledAction"
  | "events"
  | "replicas"
>;

/** A rollout with its canary; transitions are only asked while there is one. */
export interface UnderWay extends Rollout {
  readonly canary: CanaryStatus;
}

/** What is to be decided about a rollout under way, or undefined where this does not apply now. */
export type Transition = (situation: Situation, rollout: UnderWay) => Rollout | undefined;

export const NO_NUMBERS: Numbers = { requests: 0, errorPerMille: 0, restarts: 0 };

export function started(situation: Situation, rollout: Rollout, attempt: number): Rollout {
  const { target, now, spec } = situation;
  const at = now.toISOString();
  const canary: CanaryStatus = {
    revision: target.name,
    ...(target.input.modelDigest === undefined ? {} : { modelDigest: target.input.modelDigest }),
    phase: "Starting",
    attempt,
    step: 0,
    steps: spec.canary?.steps.length ?? 0,
    weightPercent: 0,
    startedAt: at,
    waitingSince: at,
    ...NO_NUMBERS,
  };
  const stable = rollout.stable?.name ?? "";
  return tell(
    { ...rollout, canary },
    "Normal",
    "RolloutStarted",
    `Revision ${target.name} is rolled out beside ${stable}`,
  );
}

/** Of a step that has shown nothing yet. */
export function withoutNumbers(canary: CanaryStatus): CanaryStatus {
  const { p99Milliseconds: _, stableP99Milliseconds: _1, mirrored: _2, ...rest } = canary;
  const { divergencePerMille: _3, ...unjudged } = rest;
  return { ...unjudged, ...NO_NUMBERS };
}

/** Begins to wait for a step: its numbers start from nothing. */
export function toStep(situation: Situation, rollout: UnderWay, step: number): Rollout {
  const { stepStartedAt: _, interruptions: _1, ...canary } = withoutNumbers(rollout.canary);
  return {
    ...rollout,
    canary: {
      ...canary,
      phase: "Stepping",
      step,
      steps: situation.spec.canary?.steps.length ?? 0,
      waitingSince: situation.now.toISOString(),
    },
  };
}

export function promoting(situation: Situation, rollout: UnderWay, message: string): Rollout {
  const { stepStartedAt: _, heldWeightPercent: _1, ...canary } = rollout.canary;
  return tell(
    { ...rollout, canary: { ...canary, phase: "Promoting", waitingSince: situation.now.toISOString() } },
    "Normal",
    "Promoting",
    `Revision ${canary.revision}: ${message}`,
  );
}

/**
 * Takes the weight back. How it ended is told at once; the canary stays in status, and its pods stay, until every
 * router has let go of it.
 */
export function rollingBack(
  situation: Situation,
  rollout: UnderWay,
  end: { result: Exclude<LastRollout["result"], "Promoted">; reason: string; message: string },
): Rollout {
  const { heldWeightPercent: _, ...canary } = rollout.canary;
  const failed = end.result !== "Superseded";
  const lastRollout: LastRollout = {
    revision: canary.revision,
    ...end,
    reason: cut(end.reason, 1024),
    message: cut(end.message, 4096),
    finishedAt: situation.now.toISOString(),
    attempt: canary.attempt,
    step: canary.step,
    requests: canary.requests,
  };
  const failedRevisions = failed
    ? [...new Set([...rollout.failedRevisions, canary.revision])].slice(-10)
    : rollout.failedRevisions;
  return tell(
    {
      ...rollout,
      canary: { ...canary, phase: "RollingBack", waitingSince: situation.now.toISOString() },
      lastRollout,
      failedRevisions,
    },
    failed ? "Warning" : "Normal",
    end.result,
    `Revision ${canary.revision} is taken back (${end.reason}): ${end.message}`,
  );
}

export function ended({ canary: _, ...rollout }: UnderWay): Rollout {
  return { ...rollout, canary: undefined };
}

export function tell<T extends Rollout>(rollout: T, type: Told["type"], reason: string, message: string): T {
  return { ...rollout, events: [...rollout.events, { type, reason, message: cut(message, 1024) }] };
}
