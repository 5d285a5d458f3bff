/**
 * Chooses among weighted alternatives, one request at a time, by smooth weighted round-robin (nginx's
 * algorithm): over any stretch of requests each alternative's count differs from its share by less than the
 * number of alternatives. A random choice would let a 5 % canary see 0 or 12 of its first 100 requests, and a
 * step is judged by its count.
 */
export class WeightedChoice {
  readonly #weights: readonly number[];
  readonly #total: number;
  readonly #credit: number[];

  /** Weights are ≥ 0 in any unit; at least one is above 0. */
  constructor(weights: readonly number[]) {
    this.#weights = weights;
    this.#total = weights.reduce((sum, weight) => sum + weight, 0);
    if (!(this.#total > 0)) throw new RangeError("a weighted choice needs a weight above 0");
    this.#credit = weights.map(() => 0);
  }

  /** The index of the alternative that takes the next request. */
  next(): number {
    let best = -1;
    let most = Number.NEGATIVE_INFINITY;
    for (let index = 0; index < this.#weights.length; index += 1) {
      const weight = this.#weights[index] ?? 0;
      if (weight === 0) continue;
      const credit = (this.#credit[index] ?? 0) + weight;
      this.#credit[index] = credit;
      if (credit > most) {
        most = credit;
        best = index;
      }
    }
    this.#credit[best] = most - this.#total;
    return best;
  }
}

/** Takes `percent` of what passes, evenly spread: exactly `percent` of every hundred. */
export class PercentSampler {
  readonly #percent: number;
  #credit = 0;

  constructor(percent: number) {
    this.#percent = percent;
  }

  take(): boolean {
    this.#credit += this.#percent;
    if (this.#credit < 100) return false;
    this.#credit -= 100;
    return true;
  }
}
