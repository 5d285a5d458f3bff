import type { LeaseSpec } from "kubernetes-types/coordination/v1.js";
import { messageOf } from "../../lib/errors.ts";
import { sameJson } from "../engine/canonical.ts";
import type { Clock } from "../engine/clock.ts";
import { ClusterError } from "../engine/cluster.ts";
import type { Log } from "../engine/log.ts";
import { givenBack, heldBy, type Lease, type LeaseStore } from "./lease.ts";
import { within } from "./time-limit.ts";

/** A release meets a renewal of ours at most, whose answer was lost: so often it is tried. */
const GIVE_BACK_TRIES = 3;

/** One process's view of a lease: what it last saw, since when, and what may be done about it. */
export class LeaseClaim {
  readonly identity: string;
  readonly #store: LeaseStore;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #durationSeconds: number;
  /** The lease as last seen, and when it was first seen so, by our own monotonic clock. */
  #seen: { lease: Lease; at: number } | undefined;
  #problem = "";
  #lastTry: number;

  constructor(options: {
    store: LeaseStore;
    identity: string;
    durationSeconds: number;
    clock: Clock;
    log: Log;
  }) {
    this.identity = options.identity;
    this.#store = options.store;
    this.#clock = options.clock;
    this.#log = options.log;
    this.#durationSeconds = options.durationSeconds;
    this.#lastTry = this.#clock.monotonic();
  }

  /** Milliseconds since it was last tried to hold the lease. */
  get idle(): number {
    return this.#clock.monotonic() - this.#lastTry;
  }

  /** Whether the lease named us when it was last seen. */
  get ours(): boolean {
    return this.#holder === this.identity;
  }

  /**
   * Takes or renews the lease within so many milliseconds. Answers when the request that did it began, by the
   * monotonic clock: nobody can have begun to wait for the lease's end before that. Undefined while somebody else
   * holds it, or nobody can tell.
   */
  async hold(limit: number, signal: AbortSignal): Promise<number | undefined> {
    this.#lastTry = this.#clock.monotonic();
    try {
      const since = await within(this.#clock, limit, signal, (cut) => this.#takeOrRenew(cut));
      this.#problem = "";
      return since;
    } catch (thrown) {
      if (!signal.aborted && !isConflict(thrown)) this.#tell(messageOf(thrown));
      return undefined;
    }
  }

  /** Lets another take the lease at once, if it is ours. @throws ClusterError */
  async giveBack(limit: number): Promise<void> {
    const { signal } = new AbortController();
    await within(this.#clock, limit, signal, async (cut) => {
      for (let left = GIVE_BACK_TRIES; ; left--) {
        const stored = await this.#read(cut);
        if (stored === undefined || !this.ours) return;
        try {
          return await this.#write(stored, givenBack(stored.spec ?? {}, this.#clock.now()), cut);
        } catch (thrown) {
          if (!isConflict(thrown) || left === 1) throw thrown;
        }
      }
    });
  }

  async #takeOrRenew(signal: AbortSignal): Promise<number | undefined> {
    // A holder knows what is stored, since it wrote it. If that is wrong, the API server refuses, and it looks.
    if (this.#seen !== undefined && this.ours) {
      try {
        return await this.#keep(this.#seen.lease, signal);
      } catch (thrown) {
        const stale = thrown instanceof ClusterError && ["Conflict", "NotFound"].includes(thrown.code);
        if (!stale) throw thrown;
      }
    }
    const stored = await this.#read(signal);
    // Also when it is gone: who holds a lease that somebody deletes does not know it before the next renewal.
    if (!this.ours && this.#isHeld()) return undefined;
    return this.#keep(stored, signal);
  }

  async #keep(before: Lease | undefined, signal: AbortSignal): Promise<number> {
    const since = this.#clock.monotonic();
    const spec = heldBy(this.identity, before?.spec, this.#clock.now(), this.#durationSeconds);
    await this.#write(before, spec, signal);
    return since;
  }

  // What was cut off goes on here when its answer comes, maybe in the midst of the next term. It may ask for nothing
  // more then: a release that came late would give back the lease of that term.

  async #read(signal: AbortSignal): Promise<Lease | undefined> {
    signal.throwIfAborted();
    const stored = await this.#store.read(signal);
    if (stored !== undefined) this.#see(stored);
    return stored;
  }

  async #write(before: Lease | undefined, spec: LeaseSpec, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const write =
      before === undefined
        ? this.#store.create(spec, signal)
        : this.#store.replace({ ...before, spec }, signal);
    this.#see(await write);
  }

  #see(lease: Lease): void {
    const before = this.#holder;
    const changed = this.#seen === undefined || !sameJson(this.#seen.lease.spec ?? {}, lease.spec ?? {});
    // Only a change of the spec is a sign of life: anybody may label a lease.
    const at = changed || this.#seen === undefined ? this.#clock.monotonic() : this.#seen.at;
    this.#seen = { lease, at };
    if (this.#holder !== before && !this.ours) {
      const { identity } = this;
      this.#log.info(
        { identity, holder: this.#holder },
        this.#holder === "" ? "nobody leads" : "another leads",
      );
    }
  }

  get #holder(): string {
    return this.#seen?.lease.spec?.holderIdentity ?? "";
  }

  /** Whether its holder gave a sign of life within the time that the lease says itself. */
  #isHeld(): boolean {
    if (this.#seen === undefined || this.#holder === "") return false;
    const duration = (this.#seen.lease.spec?.leaseDurationSeconds ?? 0) * 1000;
    return this.#clock.monotonic() - this.#seen.at < duration;
  }

  /** Once, not with every try. */
  #tell(problem: string): void {
    if (problem === this.#problem) return;
    this.#problem = problem;
    this.#log.warn({ identity: this.identity, error: problem }, "the lease can't be held");
  }
}

function isConflict(thrown: unknown): boolean {
  return thrown instanceof ClusterError && thrown.code === "Conflict";
}
