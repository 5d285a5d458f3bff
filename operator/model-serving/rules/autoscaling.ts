import { horizontalPodAutoscaler } from "../children/hpa.ts";
import { SCALED_OBJECT, scaledObject } from "../children/scaled-object.ts";
import type { Rule, Situation } from "../plan.ts";

/**
 * What changes the stable count by load. The count itself is copied by scale.ts. While a rollout is under way it
 * may grow and not shrink: the stable revision then sees only a part of the load, and is to take all of it again.
 */
export const autoscaler: Rule = (situation, plan) => {
  const { autoscaling } = situation.spec;
  if (autoscaling === undefined || plan.serving.input.pod === undefined) return {};
  const least = Math.max(autoscaling.minReplicas, 1, plan.canary === undefined ? 0 : plan.replicas);
  const bounds = {
    minReplicas: Math.min(least, autoscaling.maxReplicas),
    maxReplicas: autoscaling.maxReplicas,
  };
  if (!usesKeda(situation)) {
    return { children: [...plan.children, horizontalPodAutoscaler(situation, autoscaling, bounds)] };
  }
  // KEDA would wake a model that sleeps up to its least count at once.
  if (plan.replicas === 0) return {};
  return { children: [...plan.children, scaledObject(situation, autoscaling, bounds)] };
};

/** KEDA where it is asked for; with Auto, where a metric is one that an HPA gets from an adapter only. */
function usesKeda({ spec, observed }: Situation): boolean {
  const { provider = "Auto", metrics = [] } = spec.autoscaling ?? {};
  if (provider !== "Auto") return provider === "KEDA";
  const own = metrics.some(({ type }) => type !== "CPU" && type !== "Memory");
  return own && observed.settings.prometheusUrl !== undefined && observed.serves(SCALED_OBJECT);
}
