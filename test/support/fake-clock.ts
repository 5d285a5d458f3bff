import type { Clock } from "../../operator/engine/clock.ts";

/** A clock that moves only when told. Timers run in order of their time, then of their making. */
export class FakeClock implements Clock {
  #milliseconds = 0;
  #timers: { at: number; run: () => void }[] = [];
  readonly #epoch: number;

  constructor(epoch = "2026-01-01T00:00:00Z") {
    this.#epoch = Date.parse(epoch);
  }

  now(): Date {
    return new Date(this.#epoch + this.#milliseconds);
  }

  monotonic(): number {
    return this.#milliseconds;
  }

  after(milliseconds: number, run: () => void): () => void {
    const timer = { at: this.#milliseconds + milliseconds, run };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  }

  /** Moves on, running what falls due, each at its own time. */
  advance(milliseconds: number): void {
    const until = this.#milliseconds + milliseconds;
    for (;;) {
      const due = this.#timers
        .filter((timer) => timer.at <= until)
        .reduce<{ at: number; run: () => void } | undefined>(
          (first, timer) => (first === undefined || timer.at < first.at ? timer : first),
          undefined,
        );
      if (due === undefined) break;
      this.#timers = this.#timers.filter((timer) => timer !== due);
      this.#milliseconds = Math.max(this.#milliseconds, due.at);
      due.run();
    }
    this.#milliseconds = until;
  }

  /** Moves on as for a process that was frozen: all that fell due meanwhile runs afterwards, at the new time. */
  jump(milliseconds: number): void {
    this.#milliseconds += milliseconds;
    this.advance(0);
  }
}
