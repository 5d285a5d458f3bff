import type { Clock } from "./clock.ts";

/** Milliseconds that one observation may take. */
const LIMIT = 30_000;

/** Observations under way. They only read, so each may be cut off: after its time, or when the controller stops. */
export class Observations {
  readonly #clock: Clock;
  readonly #timedOut: () => void;
  readonly #underWay = new Set<AbortController>();

  constructor(clock: Clock, timedOut: () => void) {
    this.#clock = clock;
    this.#timedOut = timedOut;
  }

  async run<T>(observe: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const observation = new AbortController();
    const { signal } = observation;
    this.#underWay.add(observation);
    const cancel = this.#clock.after(LIMIT, () => {
      this.#timedOut();
      observation.abort(new Error(`observing took longer than ${LIMIT / 1000} s`));
    });
    try {
      return await new Promise<T>((resolve, reject) => {
        signal.addEventListener("abort", () => reject(signal.reason), { once: true });
        observe(signal).then(resolve, reject);
      });
    } finally {
      cancel();
      this.#underWay.delete(observation);
    }
  }

  cutOff(why: Error): void {
    for (const observation of this.#underWay) observation.abort(why);
  }
}
