import type { Metrics, ScrapedValue } from "../../lib/telemetry/metrics.ts";
import type { LoadedModel } from "./loaded-model.ts";
import type { BucketCounts, StatisticsRecorder } from "./statistics.ts";

/**
 * Triton's metrics with Triton's meanings, `naru_` for `nv_`. Durations are microseconds summed over requests; each
 * request is charged the whole time of the run that it shared.
 */
const counters: readonly (readonly [string, string, (recorder: StatisticsRecorder) => number])[] = [
  ["naru_inference_request_success", "Requests answered.", ({ success }) => success.count],
  ["naru_inference_count", "Rows inferred; a batch of n counts n.", ({ inferenceCount }) => inferenceCount],
  [
    "naru_inference_exec_count",
    "Runs of the model; a batch counts one.",
    ({ executionCount }) => executionCount,
  ],
  ["naru_inference_request_duration_us", "From the request to its answer.", ({ success }) => micros(success)],
  ["naru_inference_queue_duration_us", "Waiting for a run.", ({ queue }) => micros(queue)],
  [
    "naru_inference_compute_input_duration_us",
    "Putting inputs together.",
    ({ computeInput }) => micros(computeInput),
  ],
  ["naru_inference_compute_infer_duration_us", "In the model.", ({ computeInfer }) => micros(computeInfer)],
  [
    "naru_inference_compute_output_duration_us",
    "Taking outputs apart.",
    ({ computeOutput }) => micros(computeOutput),
  ],
];

const histograms: readonly (readonly [string, string, (recorder: StatisticsRecorder) => BucketCounts])[] = [
  [
    "naru_inference_queue_delay_us",
    "Microseconds a request waited for its run.",
    ({ queueDelay }) => queueDelay,
  ],
  ["naru_inference_batch_size", "Rows a run.", ({ batchSize }) => batchSize],
];

/** Registers the metrics of the models that `loaded` gives at each scrape. */
export function registerModelMetrics(
  metrics: Metrics,
  revision: string,
  loaded: () => Iterable<LoadedModel>,
): void {
  const each =
    (read: (model: LoadedModel, labels: Record<string, string>) => ScrapedValue[]) => (): ScrapedValue[] =>
      [...loaded()].flatMap((model) => read(model, { model: model.name, version: model.version, revision }));
  for (const [name, help, value] of counters) {
    metrics.scraped(
      name,
      help,
      "counter",
      each(({ recorder }, labels) => [{ labels, value: value(recorder) }]),
    );
  }
  metrics.scraped(
    "naru_inference_request_failure",
    "Requests that were not answered.",
    "counter",
    each(({ recorder }, labels) =>
      Object.entries(recorder.failures).map(([reason, value]) => ({ labels: { ...labels, reason }, value })),
    ),
  );
  for (const [name, help, counts] of histograms) {
    metrics.scraped(
      name,
      help,
      "histogram",
      each(({ recorder }, labels) => series(counts(recorder), labels)),
    );
  }
  metrics.scraped(
    "naru_inference_pending_request_count",
    "Requests that wait or run, now.",
    "gauge",
    each(({ inFlight }, labels) => [{ labels, value: inFlight }]),
  );
}

function micros({ milliseconds }: { readonly milliseconds: number }): number {
  return Math.round(milliseconds * 1000);
}

function series({ bounds, counts, sum }: BucketCounts, labels: Record<string, string>): ScrapedValue[] {
  let below = 0;
  const buckets = counts.map((count, index): ScrapedValue => {
    below += count;
    return { suffix: "_bucket", labels: { ...labels, le: String(bounds[index] ?? "+Inf") }, value: below };
  });
  return [...buckets, { suffix: "_sum", labels, value: sum }, { suffix: "_count", labels, value: below }];
}
