/** Time as the engine sees it, so that a test can move it. */
export interface Clock {
  /** Wall-clock time, for what people read (status, events). It can jump. */
  now(): Date;
  /** Milliseconds that only grow, for every duration and deadline. */
  monotonic(): number;
  /** Calls `run` once, `milliseconds` from now; the answer cancels it. */
  after(milliseconds: number, run: () => void): () => void;
}

/** setTimeout takes a 32-bit number; a longer one fires at once. */
const LONGEST_TIMER = 2 ** 31 - 1;

export const systemClock: Clock = {
  now: () => new Date(),
  monotonic: () => performance.now(),
  after(milliseconds, run) {
    const due = performance.now() + milliseconds;
    let timer: NodeJS.Timeout;
    const arm = (left: number): void => {
      timer = setTimeout(
        () => {
          const rest = due - performance.now();
          if (rest > 1) arm(rest);
          else run();
        },
        Math.min(Math.max(left, 0), LONGEST_TIMER),
      );
    };
    arm(milliseconds);
    return () => clearTimeout(timer);
  },
};
