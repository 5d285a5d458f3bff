import { NaruError } from "../../lib/errors.ts";
import type { Clock } from "../engine/clock.ts";

/** A time for which this process leads; operator/kube's Term, or all time where there is no election. */
export interface Leadership {
  /** Asked before each write. */
  mayWrite(): boolean;
  readonly lost: Promise<void>;
  /** Called when nothing is under way any more that writes. */
  end(): Promise<void>;
}

/** What whoever leads does. */
export interface Work {
  /** Begins nothing more, and resolves when what was begun is finished. */
  stop(): Promise<void>;
}

/** Milliseconds for what was begun. A request is given up after 30 s; a pod is killed 40 s after its SIGTERM. */
const END_LIMIT = 35_000;

/** For a single replica without an election. */
export const alwaysLeading: Leadership = {
  mayWrite: () => true,
  lost: new Promise(() => undefined),
  end: async () => undefined,
};

/**
 * Works whenever this process leads, until `signal` aborts. A lease that was lost ends the work and not the process:
 * an API server that is away for a minute must not send every replica into the kubelet's back-off. A new term begins
 * only when nothing of the one before is under way.
 *
 * @throws NaruError WorkStuck: the lease is then left to run out, since what is under way may still write; whatever
 * `start` throws
 */
export async function leadInTerms(options: {
  acquire(signal: AbortSignal): Promise<Leadership | undefined>;
  start(term: Leadership): Promise<Work>;
  signal: AbortSignal;
  clock: Clock;
}): Promise<void> {
  const { acquire, start, signal, clock } = options;
  const { promise: stopped, resolve } = Promise.withResolvers<void>();
  signal.addEventListener("abort", () => resolve());
  while (!signal.aborted) {
    const term = await acquire(signal);
    if (term === undefined) return;
    const work = start(term);
    const failed = work.then(() => stopped);
    await Promise.race([term.lost, stopped, failed]);
    await within(clock, END_LIMIT, async () => (await work).stop());
    await term.end();
  }
}

async function within(clock: Clock, milliseconds: number, run: () => Promise<void>): Promise<void> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const cancel = clock.after(milliseconds, () => reject(stuck(milliseconds)));
  try {
    await Promise.race([run(), late]);
  } finally {
    cancel();
  }
}

function stuck(milliseconds: number): NaruError {
  return new NaruError({
    code: "WorkStuck",
    message: `reconciles that were begun have not ended within ${milliseconds / 1000} s`,
    remedy:
      "the process ends, and another takes over; if it comes again, look for an API server that does not answer",
  });
}
