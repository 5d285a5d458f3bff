import type { HorizontalPodAutoscaler, MetricSpec } from "kubernetes-types/autoscaling/v2.js";
import type { KubeObject } from "../../engine/objects.ts";
import { deploymentName } from "../names.ts";
import type { Situation } from "../plan.ts";
import { child } from "./child.ts";
import {
  type Autoscaling,
  type Bounds,
  metricsOf,
  POD_METRICS,
  type ScalingMetric,
} from "./scaling-metrics.ts";

/** Scales the Deployment of the stable track. */
export function horizontalPodAutoscaler(
  situation: Situation,
  autoscaling: Autoscaling,
  bounds: Bounds,
): KubeObject {
  const { name } = situation;
  const object: HorizontalPodAutoscaler & { metadata: { name: string } } = {
    apiVersion: "autoscaling/v2",
    kind: "HorizontalPodAutoscaler",
    metadata: { name },
    spec: {
      scaleTargetRef: { apiVersion: "apps/v1", kind: "Deployment", name: deploymentName(name, "stable") },
      ...bounds,
      metrics: metricsOf(autoscaling).map(metricSpec),
      behavior: {
        scaleDown: { stabilizationWindowSeconds: autoscaling.scaleDownStabilizationSeconds },
      },
    },
  };
  return child(situation, object);
}

function metricSpec({ type, target }: ScalingMetric): MetricSpec {
  if (type === "CPU" || type === "Memory") {
    return {
      type: "Resource",
      resource: {
        name: type === "CPU" ? "cpu" : "memory",
        target: { type: "Utilization", averageUtilization: target },
      },
    };
  }
  return {
    type: "Pods",
    pods: {
      metric: { name: POD_METRICS[type] },
      target: { type: "AverageValue", averageValue: String(target) },
    },
  };
}
