import type { PodDisruptionBudget } from "kubernetes-types/policy/v1.js";
import type { KubeObject } from "../../engine/objects.ts";
import type { Situation } from "../plan.ts";
import { child } from "./child.ts";

/** What evictions must leave of the pods that the selector names. */
export function podDisruptionBudget(
  situation: Situation,
  own: { name: string; selector: Record<string, string> },
): KubeObject {
  const { minAvailable, maxUnavailable } = situation.spec.availability ?? {};
  const object: PodDisruptionBudget & { metadata: { name: string } } = {
    apiVersion: "policy/v1",
    kind: "PodDisruptionBudget",
    metadata: { name: own.name },
    spec: {
      selector: { matchLabels: own.selector },
      ...(minAvailable === undefined
        ? { maxUnavailable: bounded(maxUnavailable ?? 1) }
        : { minAvailable: bounded(minAvailable) }),
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
