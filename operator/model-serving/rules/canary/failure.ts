import type { Situation } from "../../plan.ts";
import { isRouted, routerConfigOf } from "../../router-config.ts";
import { readyRouters } from "./confirmation.ts";
import { numbers, verdictOf } from "./evidence.ts";
import { holdEnds, isOpen, millis, podProblem, restartsOf, servingOf, stillByCanary } from "./facts.ts";
import { ended, type Rollout, rollingBack, tell, type UnderWay } from "./rollout.ts";
import { waitsFor } from "./waits.ts";

/** What ends a rollout before it is promoted. */

export function lostInput(situation: Situation, rollout: UnderWay): Rollout | undefined {
  const known = rollout.stable !== undefined && situation.revision(rollout.canary.revision) !== undefined;
  if (known) return undefined;
  return tell(
    ended(rollout),
    "Warning",
    "RevisionLost",
    "A kept revision of the rollout was deleted: it ends here",
  );
}

export function superseded(situation: Situation, rollout: UnderWay): Rollout | undefined {
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

/** Codes of a fetch that no retry cures: the bytes are not the ones that were asked for. */
const HOPELESS = new Set(["DigestMismatch", "SignatureInvalid"]);

export function brokenModel(situation: Situation, rollout: UnderWay): Rollout | undefined {
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

export function refusedByRouters(situation: Situation, rollout: UnderWay): Rollout | undefined {
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

export function judgedBad(situation: Situation, rollout: UnderWay): Rollout | undefined {
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

export function tooLate(situation: Situation, rollout: UnderWay): Rollout | undefined {
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
