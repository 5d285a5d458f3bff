import type { ModelServingSpec } from "../../../crds/model-serving.ts";

export type Autoscaling = NonNullable<ModelServingSpec["autoscaling"]>;
export type ScalingMetric = NonNullable<Autoscaling["metrics"]>[number];

/** The bounds in force, which a rollout may narrow. */
export interface Bounds {
  readonly minReplicas: number;
  readonly maxReplicas: number;
}

/** What is scaled on where nothing is said: the API server's own default for an HPA. */
const DEFAULT_METRICS: readonly ScalingMetric[] = [{ type: "CPU", target: 80 }];

export function metricsOf({ metrics }: Autoscaling): readonly ScalingMetric[] {
  return metrics === undefined || metrics.length === 0 ? DEFAULT_METRICS : metrics;
}

type OwnMetric = Exclude<ScalingMetric["type"], "CPU" | "Memory">;

/** Name of a pod's own metric, as an adapter serves it (custom.metrics.k8s.io). */
export const POD_METRICS: Readonly<Record<OwnMetric, string>> = {
  Concurrency: "naru_inference_pending_request_count",
  RequestsPerSecond: "naru_inference_requests_per_second",
  QueueMilliseconds: "naru_inference_queue_milliseconds",
};

/** The same as PromQL, averaged over the pods that the selector names, for KEDA. */
export function promQl(type: OwnMetric, selector: string): string {
  switch (type) {
    case "Concurrency":
      return `sum(naru_inference_pending_request_count{${selector}})`;
    case "RequestsPerSecond":
      return `sum(rate(naru_inference_request_success{${selector}}[1m]))`;
    case "QueueMilliseconds":
      return `sum(rate(naru_inference_queue_delay_us_sum{${selector}}[1m])) / sum(rate(naru_inference_queue_delay_us_count{${selector}}[1m])) / 1000`;
  }
}
