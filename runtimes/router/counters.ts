import type { TrackReport } from "../../lib/config/router.ts";
import { emptyCounts, type LatencyCounts, record } from "../../lib/telemetry/histogram.ts";

/**
 * What one track did under one generation. A request holds the counters of the generation that it began under until
 * it ends; nothing else holds those of former generations, so they go with their last request.
 */
export class TrackCounters {
  readonly revision: string;
  requests = 0;
  errors = 0;
  mirrored = 0;
  diverged = 0;
  mirrorErrors = 0;
  readonly #latencyCounts: LatencyCounts = emptyCounts();

  constructor(revision: string) {
    this.revision = revision;
  }

  /** A request that ended after `milliseconds`, answered or not. */
  ended(milliseconds: number, error: boolean): void {
    this.requests += 1;
    if (error) this.errors += 1;
    record(this.#latencyCounts, milliseconds);
  }

  report(): TrackReport {
    return {
      revision: this.revision,
      requests: this.requests,
      errors: this.errors,
      latencyCounts: [...this.#latencyCounts],
      mirrored: this.mirrored,
      diverged: this.diverged,
      mirrorErrors: this.mirrorErrors,
    };
  }
}
