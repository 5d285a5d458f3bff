/** What clients saw in the last moments. */
export interface Recent {
  readonly perSecond: number;
  /** Milliseconds; undefined where nothing was answered in the window. */
  readonly p50?: number;
  readonly p99?: number;
}

/** Latencies of the answers of the last `windowMilliseconds`. Bounded by what is answered in that time. */
export class RecentAnswers {
  readonly #windowMilliseconds: number;
  readonly #answers: { at: number; milliseconds: number }[] = [];

  constructor(windowMilliseconds: number) {
    this.#windowMilliseconds = windowMilliseconds;
  }

  /** @param at when it was answered, on a clock that never goes back, in milliseconds */
  add(at: number, milliseconds: number): void {
    this.#answers.push({ at, milliseconds });
    this.#forget(at);
  }

  read(now: number): Recent {
    this.#forget(now);
    const sorted = this.#answers.map(({ milliseconds }) => milliseconds).sort((a, b) => a - b);
    const perSecond = (sorted.length * 1000) / this.#windowMilliseconds;
    const [p50, p99] = [rank(sorted, 0.5), rank(sorted, 0.99)];
    return p50 === undefined || p99 === undefined ? { perSecond } : { perSecond, p50, p99 };
  }

  #forget(now: number): void {
    const first = this.#answers.findIndex(({ at }) => at > now - this.#windowMilliseconds);
    this.#answers.splice(0, first === -1 ? this.#answers.length : first);
  }
}

/** Nearest-rank quantile. */
function rank(sorted: readonly number[], quantile: number): number | undefined {
  return sorted[Math.max(0, Math.ceil(sorted.length * quantile) - 1)];
}
