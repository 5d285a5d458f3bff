import { isServerFull } from "../../../lib/http/body-budget.ts";
import type { InferResponse } from "../../../lib/v2/types.ts";
import { isConnectionRefused } from "../forward-errors.ts";
import type { Track } from "../routing.ts";
import { type Comparison, sameAnswer } from "./compare.ts";

/** Copies under way at a time; a canary that is slower than stable loses samples, and nothing else. */
const MAX_ACTIVE = 8;
/** Requests and answers of stable that wait or are under way. */
const MAX_BYTES = 32 * 1024 * 1024;
/** One request and its answer together; a larger pair is not mirrored. */
export const MAX_SAMPLE_BYTES = 4 * 1024 * 1024;

/** A request that stable answered, to be sent to the canary as well. */
export interface Sample {
  readonly canary: Track;
  readonly comparison: Comparison;
  /** What is kept in memory for it. */
  readonly bytes: number;
  readonly timeoutMilliseconds: number;
  /** Stable's answer; rejects where it is none that can be compared. */
  stableAnswer(): Promise<InferResponse>;
  canaryAnswer(signal: AbortSignal): Promise<InferResponse>;
  /** Called once, when it was compared or dropped: gives back what is held for it. */
  release(): void;
}

/**
 * Sends copies of requests to the canary after their client was answered, compares, and throws the canary's answer
 * away. Bounded in number and bytes: what is beyond is dropped and counted, never waited for.
 */
export class Mirror {
  readonly #waiting: Sample[] = [];
  readonly #underWay = new Set<AbortController>();
  #closed = false;
  #active = 0;
  #bytes = 0;

  get bytes(): number {
    return this.#bytes;
  }

  submit(sample: Sample): void {
    if (this.#closed) {
      sample.release();
      return;
    }
    if (sample.bytes > MAX_SAMPLE_BYTES || this.#bytes + sample.bytes > MAX_BYTES) {
      sample.canary.metrics.mirrored("dropped");
      sample.release();
      return;
    }
    this.#bytes += sample.bytes;
    this.#waiting.push(sample);
    this.#next();
  }

  close(): void {
    this.#closed = true;
    for (const ending of this.#underWay) ending.abort(new Error("the router stops"));
    for (const sample of this.#waiting.splice(0)) sample.release();
  }

  #next(): void {
    while (this.#active < MAX_ACTIVE) {
      const sample = this.#waiting.shift();
      if (sample === undefined) return;
      this.#active += 1;
      void this.#compare(sample).finally(() => {
        this.#active -= 1;
        this.#bytes -= sample.bytes;
        sample.release();
        this.#next();
      });
    }
  }

  async #compare(sample: Sample): Promise<void> {
    const { counters, metrics } = sample.canary;
    let stable: InferResponse;
    try {
      stable = await sample.stableAnswer();
    } catch {
      // Not V2, or not whole: says nothing about the canary.
      metrics.mirrored("dropped");
      return;
    }
    // AbortSignal.timeout would keep its timer, and what hangs on it, for its full time after the answer.
    const ending = new AbortController();
    const timer = setTimeout(
      () => ending.abort(new Error("the canary did not answer in time")),
      sample.timeoutMilliseconds,
    );
    this.#underWay.add(ending);
    let same: boolean;
    try {
      same = sameAnswer(stable, await sample.canaryAnswer(ending.signal), sample.comparison);
    } catch (error) {
      if (this.#closed) return;
      if (isConnectionRefused(error) || isServerFull(error)) {
        // A Service leads to a pod a moment after it is Ready, or no more: not the canary's answer, whose readiness
        // is judged by its pods. Nor is it the canary's when this router holds too much to take its answer.
        metrics.mirrored("dropped");
        return;
      }
      counters.mirrored += 1;
      counters.mirrorErrors += 1;
      metrics.mirrored("failed");
      return;
    } finally {
      clearTimeout(timer);
      this.#underWay.delete(ending);
    }
    counters.mirrored += 1;
    if (!same) counters.diverged += 1;
    metrics.mirrored(same ? "same" : "diverged");
  }
}
