import type { RouterConfig } from "../../lib/config/router.ts";

export type Verdict =
  | "apply"
  /** It is what was accepted last. */
  | "same"
  /** Older than what was accepted last. */
  | "stale";

/** What outlives a restart of the container, so that a file that lags behind, or a push of old, is known as old. */
export interface LedgerState {
  readonly latest: RouterConfig;
}

/**
 * Two ways bring configurations: the operator's push, and the mounted file, which shows the same contents 60 to 90 s
 * later. The higher `sequence` is in force, by whatever way it came: a file that has not caught up, a former leader's
 * late push, and one that somebody recorded and sends again are all older.
 *
 * Of an equal sequence the later one is taken: the operator gives no two contents one number, so that is the same again,
 * or a file that a person wrote.
 */
export class ConfigLedger {
  #latest: RouterConfig | undefined;

  /** From the state that an earlier run of this container left, if any. */
  constructor(state?: LedgerState) {
    this.#latest = state?.latest;
  }

  get latest(): RouterConfig | undefined {
    return this.#latest;
  }

  state(): LedgerState | undefined {
    return this.#latest === undefined ? undefined : { latest: this.#latest };
  }

  judge(config: RouterConfig): Verdict {
    const latest = this.#latest;
    if (latest === undefined || config.sequence > latest.sequence) return "apply";
    if (config.sequence < latest.sequence) return "stale";
    return config.generation === latest.generation ? "same" : "apply";
  }

  accept(config: RouterConfig): void {
    this.#latest = config;
  }
}
