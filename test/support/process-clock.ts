import type { Clock } from "../../operator/engine/clock.ts";
import { FakeClock } from "./fake-clock.ts";

/** The clock of a process that a test can freeze: time goes on for it, and what falls due waits. */
export class ProcessClock implements Clock {
  readonly #timers: FakeClock;
  readonly #rate: number;
  #frozenFor = 0;
  /** What the wall clock was set to, in milliseconds from where it would be. */
  #set = 0;
  frozen = false;

  /** Of each millisecond in the world, so many pass here. */
  constructor(rate: number, epoch?: string) {
    this.#timers = new FakeClock(epoch);
    this.#rate = rate;
  }

  now(): Date {
    return new Date(this.#timers.now().getTime() + this.#frozenFor + this.#set);
  }

  monotonic(): number {
    return this.#timers.monotonic() + this.#frozenFor;
  }

  after(milliseconds: number, run: () => void): () => void {
    return this.#timers.after(this.#frozenFor + milliseconds, run);
  }

  pass(milliseconds: number): void {
    const own = milliseconds * this.#rate;
    if (this.frozen) this.#frozenFor += own;
    else this.#timers.advance(own);
  }

  setBack(milliseconds: number): void {
    this.#set -= milliseconds;
  }

  /** Runs what fell due while frozen, at the time that it is now. */
  catchUp(): void {
    const missed = this.#frozenFor;
    this.#frozenFor = 0;
    this.#timers.jump(missed);
  }
}
