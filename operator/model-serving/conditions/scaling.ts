import { SCALED_OBJECT } from "../children/scaled-object.ts";
import { metricsOf, POD_METRICS } from "../children/scaling-metrics.ts";
import type { Plan, Situation } from "../plan.ts";
import { isScalable, scalerOf } from "../rules/autoscaling.ts";
import { type Finding, no, unknown, unlisted, yes } from "./finding.ts";

/** Whether load changes the count: not asked without autoscaling. What the autoscaler itself says, goes before. */
export function scalingActive(situation: Situation, plan: Plan): Finding | undefined {
  const { spec, observed } = situation;
  const { autoscaling } = spec;
  if (autoscaling === undefined) return undefined;
  if (!isScalable(plan)) {
    return no({
      reason: "NothingToScale",
      message:
        "the graph has no model in pods of its own, only containers and other ModelServings: their count stays; set replicas in place of autoscaling",
    });
  }
  if (plan.replicas === 0) return yes("ScaledToZero", "the next request brings the first pod");
  const scaler = scalerOf(situation);
  if (scaler.kind === "ScaledObject" && observed.hides(SCALED_OBJECT)) return unlisted(SCALED_OBJECT);
  const seen = observed.scalers.find(({ kind }) => kind === scaler.kind);
  const what = `a ${scaler.kind} on ${metricsOf(autoscaling)
    .map(({ type, target }) => `${type} ${target}`)
    .join(", ")}`;
  const parts = [what, adapterNeeded(situation), scaler.instead].filter((part) => part !== undefined);
  if (seen?.active === undefined) {
    return unknown("NotActiveYet", `${parts.join("; ")}: it has not said yet whether it can scale`);
  }
  return seen.active
    ? yes("Scaling", parts.join("; "))
    : no({ reason: seen.reason, message: `${parts.join("; ")}: ${seen.message}${remedyFor(seen.message)}` });
}

/** An HPA knows Naru's own metrics only by an adapter, which the cluster's administrator installs. */
function adapterNeeded(situation: Situation): string | undefined {
  const { autoscaling } = situation.spec;
  if (autoscaling === undefined || scalerOf(situation).kind !== "HorizontalPodAutoscaler") return undefined;
  const names = metricsOf(autoscaling).flatMap(({ type }) =>
    type === "CPU" || type === "Memory" ? [] : [POD_METRICS[type]],
  );
  return names.length === 0
    ? undefined
    : `${names.join(" and ")} must be served by a metrics adapter (custom.metrics.k8s.io)`;
}

/** The one thing that an HPA says often and that the resource itself can put right. */
function remedyFor(message: string): string {
  return message.includes("missing request for")
    ? ": set pod.resources.requests, which the percentage is of"
    : "";
}
