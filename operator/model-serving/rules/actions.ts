import { cut } from "../../engine/text.ts";
import type { Situation } from "../plan.ts";
import { byCanary } from "../strategy.ts";
import { promoting, type Rollout, rollingBack, started, tell, type UnderWay } from "./canary/rollout.ts";

/** Set by `naru promote|abort|retry|pause|resume`: `VERB REVISION NONCE`. */
export const ACTION_ANNOTATION = "naru.dev/action";

type Verb = "promote" | "abort" | "retry" | "pause" | "resume";
const VERBS: readonly string[] = ["promote", "abort", "retry", "pause", "resume"] satisfies Verb[];

/** Longest text that status remembers it by. */
const LONGEST = 256;

/**
 * Acts once on what a person asked for. It names one revision, so that a command that comes late does nothing to
 * the revision that came after; and what was handled stays in status, so that nothing is done twice.
 */
export function takeAction(situation: Situation, rollout: Rollout): Rollout {
  const asked = situation.annotations[ACTION_ANNOTATION];
  if (asked === undefined) return rollout;
  const text = cut(asked, LONGEST);
  if (text === rollout.handledAction) return rollout;
  const [verb = "", revision = ""] = text.split(" ");
  const handled = { ...rollout, handledAction: text };
  const done = VERBS.includes(verb) ? act(situation, handled, verb as Verb, revision) : undefined;
  if (done !== undefined) return done;
  const { canary } = rollout;
  const now =
    canary === undefined ? "no rollout is under way" : `revision ${canary.revision} is ${canary.phase}`;
  return tell(handled, "Warning", "ActionIgnored", `"${text}" does not apply: ${now}`);
}

function act(situation: Situation, rollout: Rollout, verb: Verb, revision: string): Rollout | undefined {
  const { canary } = rollout;
  if (verb === "retry") return retried(situation, rollout, revision);
  if (canary === undefined || canary.revision !== revision) return undefined;
  const underWay: UnderWay = { ...rollout, canary };
  const returning = canary.revision === rollout.stable?.name;
  switch (verb) {
    case "promote":
      return canary.phase === "Starting" || canary.phase === "Stepping" || canary.phase === "Paused"
        ? promoting(situation, underWay, "asked for by a person")
        : undefined;
    case "abort": {
      if (canary.phase === "RollingBack" || returning) return undefined;
      const message = "asked for by a person";
      return rollingBack(situation, underWay, { result: "Aborted", reason: "Aborted", message });
    }
    case "pause":
      return canary.phase === "Starting" || canary.phase === "Stepping"
        ? tell(
            { ...underWay, canary: { ...canary, phase: "Paused" } },
            "Normal",
            "Paused",
            `Revision ${revision} stays at ${canary.weightPercent} %`,
          )
        : undefined;
    case "resume": {
      if (canary.phase !== "Paused") return undefined;
      const phase = canary.wantedWeightPercent === undefined ? "Starting" : "Stepping";
      // The deadline counts only the time in which the rollout could have moved.
      const resumed = { ...canary, phase, waitingSince: situation.now.toISOString() } as const;
      return tell({ ...underWay, canary: resumed }, "Normal", "Resumed", `Revision ${revision} goes on`);
    }
  }
}

/** Tries a revision again that was taken back, if it is still what `spec` asks for. */
function retried(situation: Situation, rollout: Rollout, revision: string): Rollout | undefined {
  const { target } = situation;
  const { failedRevisions, canary, lastRollout, stable } = rollout;
  if (revision !== target.name || !failedRevisions.includes(revision) || canary !== undefined)
    return undefined;
  const retry = { ...rollout, failedRevisions: failedRevisions.filter((failed) => failed !== revision) };
  const attempt = lastRollout?.revision === revision ? (lastRollout.attempt ?? 0) + 1 : 1;
  return byCanary(situation, stable, rollout.replicas) ? started(situation, retry, attempt) : retry;
}
