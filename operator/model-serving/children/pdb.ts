import type { PodDisruptionBudget } from "kubernetes-types/policy/v1.js";
import type { KubeObject } from "../../engine/objects.ts";
import type { Plan, Situation } from "../plan.ts";
import { child } from "./child.ts";

/** What evictions must leave, or may take at once: pods or a percentage. */
export type Disruption = { readonly minAvailable: Amount } | { readonly maxUnavailable: Amount };

type Amount = number | string;

/** Routers go one at a time: `availability` counts serving pods, of which there may be many more, or fewer. */
export const ONE_AT_A_TIME: Disruption = { maxUnavailable: 1 };

/** What `spec` asks for the stable pods. */
export function stableDisruption({ spec }: Situation): Disruption {
  const { minAvailable, maxUnavailable } = spec.availability ?? {};
  return minAvailable === undefined
    ? { maxUnavailable: bounded(maxUnavailable ?? 1) }
    : { minAvailable: bounded(minAvailable) };
}

/**
 * The same of a canary, by its share of the pods. Rounded so that one pod can leave wherever one of the stable pods may:
 * else the drain of its node would wait for the end of the rollout.
 */
export function canaryDisruption(situation: Situation, plan: Plan): Disruption {
  const { canaryReplicas: pods, replicas } = plan;
  const asked = stableDisruption(situation);
  const share = (amount: Amount): number =>
    typeof amount === "number"
      ? Math.floor((amount * pods) / Math.max(replicas, 1))
      : Math.floor((Number.parseInt(amount, 10) * pods) / 100);
  if ("minAvailable" in asked) return { minAvailable: Math.min(share(asked.minAvailable), pods) };
  const { maxUnavailable } = asked;
  const none = Number.parseInt(String(maxUnavailable), 10) === 0;
  return { maxUnavailable: none ? 0 : Math.max(share(maxUnavailable), 1) };
}

/** What evictions must leave of the pods that the selector names. */
export function podDisruptionBudget(
  situation: Situation,
  own: { name: string; selector: Record<string, string>; disruption: Disruption },
): KubeObject {
  const object: PodDisruptionBudget & { metadata: { name: string } } = {
    apiVersion: "policy/v1",
    kind: "PodDisruptionBudget",
    metadata: { name: own.name },
    spec: {
      selector: { matchLabels: own.selector },
      ...own.disruption,
      // A pod that does not serve protects nobody; without this it would hold up the drain of its node for ever.
      unhealthyPodEvictionPolicy: "AlwaysAllow",
    },
  };
  return child(situation, object);
}

/** What Kubernetes accepts: a 32-bit number, or at most all. */
function bounded(value: number | string): number | string {
  return typeof value === "number"
    ? Math.min(value, 2 ** 31 - 1)
    : `${Math.min(Number.parseInt(value, 10), 100)}%`;
}
