/** controller-runtime's defaults: 5 ms, doubled at each failure, never above 1000 s. Milliseconds. */
const FIRST = 5;
const LONGEST = 1_000_000;

/** How long each key waits before it is tried again. Holds a number for each key that is failing. */
export class Backoff {
  readonly #failures = new Map<string, number>();

  /** Counts a failure of `key` and answers the milliseconds to wait. */
  next(key: string): number {
    const failures = this.#failures.get(key) ?? 0;
    this.#failures.set(key, failures + 1);
    return Math.min(FIRST * 2 ** failures, LONGEST);
  }

  forget(key: string): void {
    this.#failures.delete(key);
  }

  failures(key: string): number {
    return this.#failures.get(key) ?? 0;
  }
}
