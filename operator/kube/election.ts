import { NaruError } from "../../lib/errors.ts";
import { type Clock, systemClock } from "../engine/clock.ts";
import type { Log } from "../engine/log.ts";
import type { LeaseStore } from "./lease.ts";
import { LeaseClaim } from "./lease-claim.ts";
import { Term } from "./term.ts";
import { pause } from "./time-limit.ts";

/** Milliseconds, with client-go's defaults. */
export interface ElectionTiming {
  /** Others take a lease that they have not seen renewed for so long. Whole seconds, as the API has it. */
  readonly leaseDuration: number;
  /** Who has not renewed for so long leads no more. What lies between the two is for clocks that run unequally. */
  readonly renewDeadline: number;
  /** From one try to the next. */
  readonly retryPeriod: number;
}

export const DEFAULT_TIMING: ElectionTiming = {
  leaseDuration: 15_000,
  renewDeadline: 10_000,
  retryPeriod: 2_000,
};

/** A candidate's pause is up to so much longer than the retry period, so that candidates don't ask in step. */
const JITTER = 1.2;

export interface ElectionOptions {
  readonly store: LeaseStore;
  /** Of this very process: a pod keeps its name when its container starts again. */
  readonly identity: string;
  readonly log: Log;
  readonly timing?: ElectionTiming;
  readonly clock?: Clock;
  /** From 0 to 1, for the jitter. */
  readonly random?: () => number;
  /** Told when this process begins and when it ceases to lead. */
  readonly onChange?: (leads: boolean) => void;
}

/**
 * Leader election by a Lease, with client-go's rules. Its holder renews it; whoever has not seen it change for as long
 * as it says itself, by its own monotonic clock, takes it. Every write names the resourceVersion that it was decided
 * on, so that the API server lets one of several through.
 *
 * The lease is asked for again and again rather than watched: a watch that hangs would look like a holder that lives.
 */
export class Election {
  readonly #options: Required<ElectionOptions>;
  readonly #claim: LeaseClaim;

  /** @throws NaruError InvalidLeaseTiming */
  constructor(options: ElectionOptions) {
    this.#options = {
      timing: DEFAULT_TIMING,
      clock: systemClock,
      random: Math.random,
      onChange: () => undefined,
      ...options,
    };
    const { store, identity, clock, log, timing } = this.#options;
    checkTiming(timing);
    this.#claim = new LeaseClaim({
      store,
      identity,
      clock,
      log,
      durationSeconds: timing.leaseDuration / 1000,
    });
  }

  /** Milliseconds since the lease was last asked for or renewed, so that a loop that is stuck can be told. */
  get idle(): number {
    return this.#claim.idle;
  }

  /** Waits until the lease is ours; undefined once `signal` aborts. The term before must have been ended. */
  async acquire(signal: AbortSignal): Promise<Term | undefined> {
    const { clock, log, timing, identity, random, onChange } = this.#options;
    while (!signal.aborted) {
      const since = await this.#claim.hold(timing.renewDeadline / 2, signal);
      if (since !== undefined) {
        log.info({ identity }, "leads");
        return new Term({ since, claim: this.#claim, timing, clock, log, onChange });
      }
      await pause(clock, timing.retryPeriod * (1 + JITTER * random()), signal);
    }
    return undefined;
  }
}

function checkTiming({ leaseDuration, renewDeadline, retryPeriod }: ElectionTiming): void {
  const ordered = leaseDuration > renewDeadline && renewDeadline > retryPeriod * JITTER && retryPeriod > 0;
  if (ordered && Number.isInteger(leaseDuration / 1000)) return;
  throw new NaruError({
    code: "InvalidLeaseTiming",
    message: `a lease of ${leaseDuration} ms, renewed within ${renewDeadline} ms, tried every ${retryPeriod} ms`,
    remedy: `choose lease duration > renew deadline > ${JITTER} × retry period, the duration in whole seconds`,
    status: 400,
  });
}
