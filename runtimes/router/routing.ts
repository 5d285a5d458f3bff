import type { RouterConfig } from "../../lib/config/router.ts";
import type { Backend } from "./backend.ts";
import type { TrackCounters } from "./counters.ts";
import type { CheckedGraph } from "./graph/checked.ts";
import type { RevisionMetrics } from "./metrics.ts";
import { PercentSampler, WeightedChoice } from "./split.ts";

/** One revision as this generation routes to it: a backend, or a graph of them. */
export interface Track {
  readonly revision: string;
  readonly counters: TrackCounters;
  readonly metrics: RevisionMetrics;
  readonly target:
    | { readonly kind: "backend"; readonly backend: Backend }
    | { readonly kind: "graph"; readonly graph: CheckedGraph };
}

/** A configuration in force. It never changes: the next one takes its place as a whole. */
export class Routing {
  readonly config: RouterConfig;
  readonly stable: Track;
  readonly canary: Track | undefined;
  readonly #choice: WeightedChoice | undefined;
  readonly #mirror: PercentSampler | undefined;

  constructor(config: RouterConfig, stable: Track, canary: Track | undefined) {
    this.config = config;
    this.stable = stable;
    this.canary = canary;
    const weight = canary === undefined ? 0 : (config.canary?.weightPercent ?? 0);
    if (weight > 0) this.#choice = new WeightedChoice([100 - weight, weight]);
    if (canary !== undefined && config.mirror !== undefined) {
      this.#mirror = new PercentSampler(config.mirror.percent);
    }
  }

  /** The track that takes the next request. */
  pick(): Track {
    if (this.#choice === undefined || this.canary === undefined) return this.stable;
    return this.#choice.next() === 1 ? this.canary : this.stable;
  }

  /** Whether the next request of the stable track is to be copied to the canary. */
  mirrors(track: Track): boolean {
    return this.#mirror !== undefined && track === this.stable && this.#mirror.take();
  }

  tracks(): Track[] {
    return this.canary === undefined ? [this.stable] : [this.stable, this.canary];
  }
}
