import { NaruError } from "../../lib/errors.ts";
import type { ModelStatistics, StatisticDuration } from "./model.ts";

/** How one run of the model went, for everything that shared it. Milliseconds. */
export interface RunTimes {
  readonly computeInput: number;
  readonly computeInfer: number;
  readonly computeOutput: number;
}

class Duration {
  count = 0;
  milliseconds = 0;

  add(milliseconds: number, count = 1): void {
    this.count += count;
    this.milliseconds += milliseconds * count;
  }

  report(): StatisticDuration {
    return { count: this.count, ns: Math.round(this.milliseconds * 1e6) };
  }
}

/** Counts in buckets, as Prometheus has them: each bucket counts what is not above its bound. */
export class BucketCounts {
  readonly bounds: readonly number[];
  /** One a bound, and a last one for what is above all. Not cumulative. */
  readonly counts: number[];
  sum = 0;

  constructor(bounds: readonly number[]) {
    this.bounds = bounds;
    this.counts = new Array<number>(bounds.length + 1).fill(0);
  }

  observe(value: number): void {
    let index = 0;
    while (index < this.bounds.length && value > (this.bounds[index] ?? 0)) index += 1;
    this.counts[index] = (this.counts[index] ?? 0) + 1;
    this.sum += value;
  }
}

/** Why a request was not answered, in Triton's words. */
export type FailureReason = "REJECTED" | "CANCELED" | "BACKEND" | "OTHER";

const reasons: Readonly<Record<string, FailureReason>> = {
  QueueFull: "REJECTED",
  DeadlineExceeded: "REJECTED",
  ModelNotReady: "REJECTED",
  ClientClosed: "CANCELED",
  InferenceFailed: "BACKEND",
};

interface BatchStatistics {
  readonly computeInput: Duration;
  readonly computeInfer: Duration;
  readonly computeOutput: Duration;
}

/** Sizes that a client may choose are bounded only by what a body holds. */
const maxBatchSizes = 1024;

/**
 * What a model has done, in Triton's terms: `success` counts requests, `inference_count` rows, `execution_count` runs;
 * each request is charged the whole time of the run that it shared. Plain numbers, since every request passes here.
 */
export class StatisticsRecorder {
  inferenceCount = 0;
  executionCount = 0;
  readonly success = new Duration();
  readonly fail = new Duration();
  /** `fail`, by reason. */
  readonly failures: Record<FailureReason, number> = { REJECTED: 0, CANCELED: 0, BACKEND: 0, OTHER: 0 };
  readonly queue = new Duration();
  readonly computeInput = new Duration();
  readonly computeInfer = new Duration();
  readonly computeOutput = new Duration();
  /** Microseconds from arrival to the start of the run. */
  readonly queueDelay = new BucketCounts([
    50, 100, 250, 500, 1000, 2500, 5000, 10_000, 25_000, 50_000, 100_000, 1_000_000,
  ]);
  /** Rows a run. */
  readonly batchSize = new BucketCounts([1, 2, 4, 8, 16, 32, 64, 128, 256, 512]);
  readonly #batches = new Map<number, BatchStatistics>();
  #lastInference = 0;

  queued(milliseconds: number): void {
    this.queue.add(milliseconds);
    this.queueDelay.observe(milliseconds * 1000);
  }

  ran(rows: number, requests: number, times: RunTimes): void {
    this.inferenceCount += rows;
    this.executionCount += 1;
    this.computeInput.add(times.computeInput, requests);
    this.computeInfer.add(times.computeInfer, requests);
    this.computeOutput.add(times.computeOutput, requests);
    this.batchSize.observe(rows);
    let batch = this.#batches.get(rows);
    if (batch === undefined) {
      if (this.#batches.size >= maxBatchSizes) return;
      batch = { computeInput: new Duration(), computeInfer: new Duration(), computeOutput: new Duration() };
      this.#batches.set(rows, batch);
    }
    batch.computeInput.add(times.computeInput);
    batch.computeInfer.add(times.computeInfer);
    batch.computeOutput.add(times.computeOutput);
  }

  /** `epochMilliseconds`: when the request came. */
  succeeded(milliseconds: number, epochMilliseconds: number): void {
    this.success.add(milliseconds);
    this.#lastInference = epochMilliseconds;
  }

  failed(milliseconds: number, epochMilliseconds: number, thrown: unknown): void {
    this.fail.add(milliseconds);
    const reason = (thrown instanceof NaruError ? reasons[thrown.code] : undefined) ?? "OTHER";
    this.failures[reason] += 1;
    this.#lastInference = epochMilliseconds;
  }

  report(name: string, version: string): ModelStatistics {
    const none = { count: 0, ns: 0 };
    return {
      name,
      version,
      last_inference: this.#lastInference,
      inference_count: this.inferenceCount,
      execution_count: this.executionCount,
      inference_stats: {
        success: this.success.report(),
        fail: this.fail.report(),
        queue: this.queue.report(),
        compute_input: this.computeInput.report(),
        compute_infer: this.computeInfer.report(),
        compute_output: this.computeOutput.report(),
        cache_hit: none,
        cache_miss: none,
      },
      batch_stats: [...this.#batches]
        .sort(([a], [b]) => a - b)
        .map(([size, batch]) => ({
          batch_size: size,
          compute_input: batch.computeInput.report(),
          compute_infer: batch.computeInfer.report(),
          compute_output: batch.computeOutput.report(),
        })),
    };
  }
}
