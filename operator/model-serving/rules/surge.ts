import type { Plan, Rule, Situation, Told } from "../plan.ts";
import { isSettled, workloadsOf } from "../workloads.ts";

/**
 * How a rolling update makes room. It adds pods before it takes any away, unless accelerators are asked for and the
 * scheduler, or a quota, has just said that one more pod has no place: then old ones go first, until this update is
 * through.
 */
export const surge: Rule = (situation, plan) => {
  const { spec, before } = situation;
  const asked = spec.availability?.maxSurge;
  const decided = surgeOf(asked === undefined ? (isTight(situation, plan) ? "0" : "25%") : String(asked));
  const was = before.effective?.maxUnavailable ?? "0";
  if (decided.maxUnavailable === was || decided.maxUnavailable === "0") return { surge: decided };
  return { surge: decided, events: [...plan.events, told(situation, plan)] };
};

/** Whether an update leaves nobody to answer while a pod is replaced: said wherever it shows. */
export function interruption({ surge, replicas }: Plan): string | undefined {
  if (surge.maxUnavailable === "0" || replicas !== 1) return undefined;
  return "the one pod goes before its successor is ready, so nothing serves meanwhile: 2 replicas, or room for a second pod, keep it serving";
}

function isTight(situation: Situation, plan: Plan): boolean {
  if (!accelerated(plan)) return false;
  const { serving, replicas } = plan;
  const alreadyTight = situation.before.effective?.maxSurge === "0";
  if (alreadyTight) return !isSettled(situation, "stable", serving, replicas);
  const workloads = workloadsOf(situation, "stable", serving);
  const oldLeft = workloads.some((workload) => workload !== undefined && workload.updated < workload.pods);
  return oldLeft && unplaced(situation, plan) !== undefined;
}

/**
 * Why a new pod of the stable track has no place: the scheduler's word on it, or a quota's. What is refused for what it
 * is would be refused with more room as well.
 */
function unplaced(situation: Situation, { serving }: Plan): string | undefined {
  const pod = situation.observed.pods.find(
    ({ track, revision, unschedulable }) =>
      track === "stable" && revision === serving.name && unschedulable !== undefined,
  );
  const refusals = workloadsOf(situation, "stable", serving).map((workload) => workload?.podsRefused);
  return pod?.unschedulable ?? refusals.find((refusal) => refusal?.includes("exceeded quota"));
}

function told(situation: Situation, plan: Plan): Told {
  const reason = unplaced(situation, plan);
  const why =
    reason === undefined ? "availability.maxSurge is 0" : `There is no place for one pod more (${reason})`;
  const tight: Plan = { ...plan, surge: surgeOf("0") };
  const what = interruption(tight) ?? "an old pod goes before its successor is ready";
  return { type: "Warning", reason: "NoSurge", message: `${why}: in an update ${what}` };
}

/** More pods than a ModelServing may have are as good as that many. */
const MOST_SURGE = 10_000;

function surgeOf(asked: string): Plan["surge"] {
  const maxSurge = asked.endsWith("%") ? asked : String(Math.min(Number(asked), MOST_SURGE));
  // Kubernetes refuses 0 for both.
  return { maxSurge, maxUnavailable: /^0+%?$/.test(maxSurge) ? "1" : "0" };
}

/** Whether any of the pods asks for an extended resource; only those have a vendor in their name. */
function accelerated({ serving }: Plan): boolean {
  const { pod, steps } = serving.input;
  const templates = [...(pod === undefined ? [] : [pod]), ...steps.map((step) => step.pod)];
  return templates
    .flatMap((template) => template.spec?.containers ?? [])
    .some(({ resources }) =>
      Object.keys({ ...resources?.requests, ...resources?.limits }).some((name) => name.includes("/")),
    );
}
