import { ClusterError } from "../../operator/engine/cluster.ts";
import { Election, type ElectionTiming } from "../../operator/kube/election.ts";
import type { Lease } from "../../operator/kube/lease.ts";
import type { Term } from "../../operator/kube/term.ts";
import { FakeClock } from "./fake-clock.ts";
import type { MemoryLease } from "./memory-lease.ts";
import { ProcessClock } from "./process-clock.ts";
import { MemoryLog } from "./widgets.ts";

/** Lets everything run that waits for no clock. Nothing here waits for anything else, so that one turn will do. */
export async function settled(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}

/** What a request meets on its way. The server carries out whatever reaches it, wanted still or not. */
export interface Wire {
  /** Refused at once, unless it is on its way already. */
  readonly cut?: boolean;
  /** Milliseconds until the server carries it out. */
  readonly out?: number;
  /** Milliseconds until its answer is back; for ever if it gets lost. */
  readonly back?: number;
}

export interface CandidateOptions {
  readonly epoch?: string;
  readonly rate?: number;
  readonly random?: number;
  readonly timing?: ElectionTiming;
}

/**
 * A process that wants to lead, on a clock of its own that can run fast or slow and that a test can freeze. Its
 * requests take no notice of being given up: their answers come all the same.
 */
export class Candidate {
  readonly clock: ProcessClock;
  readonly log = new MemoryLog();
  readonly election: Election;
  readonly changes: boolean[] = [];
  /** Requests that were begun when nobody waited for them any more. */
  unwanted = 0;
  term: Term | undefined;
  /** Asked what each request meets when it is begun. */
  wire: () => Wire = () => ({});
  /** Where its requests travel: time goes on for them while the process is frozen. */
  readonly #world = new FakeClock();
  /** Answers that came while it was frozen. */
  #inbox: (() => void)[] = [];
  #resign: () => void = () => undefined;

  constructor(identity: string, lease: MemoryLease, options: CandidateOptions = {}) {
    this.clock = new ProcessClock(options.rate ?? 1, options.epoch);
    const { store } = lease;
    this.election = new Election({
      store: {
        read: (signal) => this.#send(signal, () => store.read(signal)),
        create: (spec, signal) => this.#send(signal, () => store.create(spec, signal)),
        replace: (stored, signal) => this.#send(signal, () => store.replace(stored, signal)),
      },
      identity,
      log: this.log,
      clock: this.clock,
      random: () => options.random ?? 0.5,
      ...(options.timing && { timing: options.timing }),
      onChange: (leads) => this.changes.push(leads),
    });
    void this.#run();
  }

  /** What its gate says, or would say if it went on at this moment. */
  get leads(): boolean {
    return this.term?.mayWrite() ?? false;
  }

  async pass(milliseconds: number): Promise<void> {
    this.#world.advance(milliseconds);
    await settled();
    this.clock.pass(milliseconds);
    await settled();
  }

  freeze(): void {
    this.clock.frozen = true;
  }

  /** Goes on with the timers that fell due and the answers that came, in one order or the other. */
  async thaw(first: "timers" | "answers" = "timers"): Promise<void> {
    if (!this.clock.frozen) return;
    this.clock.frozen = false;
    if (first === "timers") this.clock.catchUp();
    await settled();
    for (const deliver of this.#inbox.splice(0)) {
      deliver();
      await settled();
    }
    this.clock.catchUp();
    await settled();
  }

  /** Gives its term back, as one does that is stopped, and is a candidate again. A frozen process does nothing. */
  async resign(): Promise<void> {
    if (this.clock.frozen) return;
    this.#resign();
    await settled();
  }

  async #run(): Promise<void> {
    const never = new AbortController().signal;
    for (;;) {
      this.term = await this.election.acquire(never);
      const { promise: resigned, resolve } = Promise.withResolvers<void>();
      this.#resign = resolve;
      await Promise.race([this.term?.lost, resigned]);
      await this.term?.end();
    }
  }

  async #send<T extends Lease | undefined>(signal: AbortSignal, ask: () => Promise<T>): Promise<T> {
    if (signal.aborted) this.unwanted++;
    const { cut = false, out = 0, back = 0 } = this.wire();
    if (cut) throw new ClusterError("Unavailable", "connection refused");
    if (out > 0) await new Promise<void>((resolve) => this.#world.after(out, resolve));
    const [answer] = await Promise.allSettled([ask()]);
    if (back > 0) await new Promise<void>((resolve) => this.#world.after(back, resolve));
    if (this.clock.frozen) await new Promise<void>((resolve) => this.#inbox.push(resolve));
    if (answer.status === "rejected") throw answer.reason;
    return answer.value;
  }
}

/** Milliseconds of the world from one look at the candidates to the next. */
export const STEP = 250;

/** Lets time pass for all, in small steps. */
export async function pass(milliseconds: number, ...candidates: Candidate[]): Promise<void> {
  for (let passed = 0; passed < milliseconds; passed += STEP) {
    for (const candidate of candidates) await candidate.pass(STEP);
  }
}

/** How long it takes, in small steps, until it is so. */
export async function timeUntil(is: () => boolean, ...candidates: Candidate[]): Promise<number> {
  for (let passed = 0; passed <= 60_000; passed += STEP) {
    if (is()) return passed;
    await pass(STEP, ...candidates);
  }
  throw new Error("not within a minute");
}
