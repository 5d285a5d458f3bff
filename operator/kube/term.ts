import { messageOf } from "../../lib/errors.ts";
import type { Clock } from "../engine/clock.ts";
import type { Log } from "../engine/log.ts";
import type { ElectionTiming } from "./election.ts";
import type { LeaseClaim } from "./lease-claim.ts";
import { pause } from "./time-limit.ts";

/**
 * The time for which this process leads. It renews the lease until it is lost or `end` is called, and says before each
 * write whether that may still be sent.
 *
 * A lease is no fence: a process that was frozen wakes up in the middle of its work and believes that it leads. So
 * what counts is not what the lease said, but how long ago, by the monotonic clock, the last request was begun that
 * renewed it: that needs no timer to have run since. What is under way when a process freezes can't be called back
 * and has to be harmless (status carries a resourceVersion, and is written before the children that it implies).
 */
export class Term {
  /** Resolves when the lease was lost before `end` was called. */
  readonly lost: Promise<void>;
  readonly #options: TermOptions;
  readonly #ending = new AbortController();
  readonly #renewing: Promise<void>;
  #deadline: number;

  constructor(options: TermOptions) {
    this.#options = options;
    const { since, timing, onChange } = options;
    this.#deadline = since + timing.renewDeadline;
    onChange(true);
    const { promise, resolve } = Promise.withResolvers<void>();
    this.lost = promise;
    this.#renewing = this.#renew().then(() => {
      if (!this.#ending.signal.aborted) resolve();
    });
  }

  /** False from the moment from which another may lead, and then for ever. */
  mayWrite(): boolean {
    return !this.#ending.signal.aborted && this.#options.clock.monotonic() < this.#deadline;
  }

  /**
   * Ends the term and gives the lease back, so that another can take it at once. Nothing may be under way any more
   * that writes. Never throws: a lease that can't be given back runs out.
   */
  async end(): Promise<void> {
    const { claim, timing, log } = this.#options;
    this.#ending.abort(new Error("the term ends"));
    await this.#renewing;
    if (!claim.ours) return;
    try {
      await claim.giveBack(timing.renewDeadline / 2);
      log.info({ identity: claim.identity }, "gave the lease back");
    } catch (thrown) {
      log.warn({ identity: claim.identity, error: messageOf(thrown) }, "the lease could not be given back");
    }
  }

  /** Resolves when the term is over, whatever the reason. */
  async #renew(): Promise<void> {
    const { claim, clock, timing, log, onChange } = this.#options;
    const { signal } = this.#ending;
    let reason = "";
    while (reason === "" && !signal.aborted) {
      await pause(clock, timing.retryPeriod, signal);
      const left = this.#deadline - clock.monotonic();
      if (signal.aborted) break;
      if (left <= 0) {
        reason = `not renewed within ${timing.renewDeadline} ms`;
        break;
      }
      // Half the deadline at most: a request that hangs on a dead connection leaves time for another.
      const limit = Math.min(timing.renewDeadline / 2, left);
      const since = await claim.hold(limit, signal);
      // An answer that was read late, as by a process that was frozen, does not open the gate again.
      const open = clock.monotonic() < this.#deadline;
      if (since !== undefined && open) this.#deadline = since + timing.renewDeadline;
      else if (!claim.ours) reason = "another holds the lease";
    }
    this.#deadline = Number.NEGATIVE_INFINITY;
    onChange(false);
    if (reason !== "") log.error({ identity: claim.identity, reason }, "leads no more");
  }
}

export interface TermOptions {
  /** When the request that took the lease began, by the monotonic clock. */
  readonly since: number;
  readonly claim: LeaseClaim;
  readonly timing: ElectionTiming;
  readonly clock: Clock;
  readonly log: Log;
  readonly onChange: (leads: boolean) => void;
}
