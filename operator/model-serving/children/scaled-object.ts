import type { KubeObject } from "../../engine/objects.ts";
import { deploymentName } from "../names.ts";
import type { Situation } from "../plan.ts";
import { child } from "./child.ts";
import { type Autoscaling, type Bounds, metricsOf, promQl, type ScalingMetric } from "./scaling-metrics.ts";

export const SCALED_OBJECT = { apiVersion: "keda.sh/v1alpha1", kind: "ScaledObject" } as const;

/** KEDA's way to scale the Deployment of the stable track. To zero and from it, the operator scales itself. */
export function scaledObject(situation: Situation, autoscaling: Autoscaling, bounds: Bounds): KubeObject {
  const { name } = situation;
  return child(situation, {
    ...SCALED_OBJECT,
    metadata: { name },
    spec: {
      scaleTargetRef: { apiVersion: "apps/v1", kind: "Deployment", name: deploymentName(name, "stable") },
      minReplicaCount: bounds.minReplicas,
      maxReplicaCount: bounds.maxReplicas,
      triggers: metricsOf(autoscaling).map((metric) => trigger(situation, metric)),
      advanced: {
        horizontalPodAutoscalerConfig: {
          behavior: {
            scaleDown: { stabilizationWindowSeconds: autoscaling.scaleDownStabilizationSeconds },
          },
        },
      },
    },
  });
}

function trigger({ name, namespace, observed }: Situation, { type, target }: ScalingMetric) {
  if (type === "CPU" || type === "Memory") {
    return { type: type.toLowerCase(), metricType: "Utilization", metadata: { value: String(target) } };
  }
  // Pods of the stable Deployment alone, NAME-HASH-SUFFIX: not the canary's, nor those of a resource whose name goes on.
  const selector = `namespace="${namespace}",pod=~"${name}-[^-]+-[^-]+"`;
  return {
    type: "prometheus",
    // A latency is no sum that could be shared out among pods.
    metricType: type === "QueueMilliseconds" ? "Value" : "AverageValue",
    metadata: {
      serverAddress: observed.settings.prometheusUrl ?? "",
      query: promQl(type, selector),
      threshold: String(target),
    },
  };
}
