import type { RouterConfig } from "../../lib/config/router.ts";

/** Of the generations seen, the last so many are remembered: a mounted file lags by one or two. */
const MAX_SEEN = 64;

export type Verdict =
  | "apply"
  /** It is what was accepted last. */
  | "same"
  /** Older than what was accepted last. */
  | "stale";

/** What outlives a restart of the container, so that a file that lags behind is known as old. */
export interface LedgerState {
  readonly latest: RouterConfig;
  /** Generations that came before it, by whatever way. */
  readonly seen: readonly string[];
}

/**
 * Two ways bring configurations: the operator's push, and the mounted file, which shows the same contents 60 to 90 s
 * later. The push leads: what it brought is never undone by a file that has not caught up.
 *
 * Where both configurations carry a `sequence`, it decides, for pushes too (a former leader's late push is refused).
 * Without one, a file is old if its generation was seen before and was followed by a push; a push is always newer.
 */
export class ConfigLedger {
  #latest: RouterConfig | undefined;
  #seen: string[];
  #pushed: boolean;

  /** From the state that an earlier run of this container left, if any. */
  constructor(state?: LedgerState) {
    this.#latest = state?.latest;
    this.#seen = [...(state?.seen ?? [])];
    this.#pushed = state !== undefined;
  }

  get latest(): RouterConfig | undefined {
    return this.#latest;
  }

  state(): LedgerState | undefined {
    return this.#latest === undefined ? undefined : { latest: this.#latest, seen: this.#seen };
  }

  judge(config: RouterConfig, way: "push" | "file"): Verdict {
    const latest = this.#latest;
    if (latest === undefined) return "apply";
    if (config.generation === latest.generation) return "same";
    if (config.sequence !== undefined && latest.sequence !== undefined) {
      return config.sequence >= latest.sequence ? "apply" : "stale";
    }
    if (way === "push") return "apply";
    return this.#pushed && this.#seen.includes(config.generation) ? "stale" : "apply";
  }

  accept(config: RouterConfig, way: "push" | "file"): void {
    if (this.#latest !== undefined && this.#latest.generation !== config.generation) {
      this.#remember(this.#latest.generation);
    }
    this.#latest = config;
    if (way === "push") this.#pushed = true;
  }

  #remember(generation: string): void {
    this.#seen = [...this.#seen.filter((one) => one !== generation), generation].slice(-MAX_SEEN);
  }
}
