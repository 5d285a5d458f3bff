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

/**
 * The same as PromQL for KEDA, which shares a sum out among the pods. Without requests a mean delay is no number at
 * all (0 ÷ 0), so it is 0 then.
 */
export function promQl(type: OwnMetric, selector: string): string {
  switch (type) {
    case "Concurrency":
      return `sum(naru_inference_pending_request_count{${selector}})`;
    case "RequestsPerSecond":
      return `sum(rate(naru_inference_request_success{${selector}}[1m]))`;
    case "QueueMilliseconds":
      return `sum(rate(naru_inference_queue_delay_us_sum{${selector}}[1m])) / (sum(rate(naru_inference_queue_delay_us_count{${selector}}[1m])) > 0) / 1000 or vector(0)`;
  }
}
