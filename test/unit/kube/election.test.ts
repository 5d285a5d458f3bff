import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ClusterError } from "../../../operator/engine/cluster.ts";
import { Election } from "../../../operator/kube/election.ts";
import type { LeaseStore } from "../../../operator/kube/lease.ts";
import type { Term } from "../../../operator/kube/term.ts";
import { FakeClock } from "../../support/fake-clock.ts";
import { MemoryLease } from "../../support/memory-lease.ts";
import { MemoryLog } from "../../support/widgets.ts";

/** Lets everything run that waits for no clock. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve));
}

/** A process that wants to lead, on a clock of its own that can run fast or slow and that a test can freeze. */
class Candidate {
  readonly clock: FakeClock;
  readonly log = new MemoryLog();
  readonly changes: boolean[] = [];
  readonly stop = new AbortController();
  term: Term | undefined;
  /** What each of its requests meets. */
  network: (signal: AbortSignal) => Promise<void> = () => Promise.resolve();
  #frozenFor = 0;
  #frozen = false;
  readonly #rate: number;

  constructor(
    identity: string,
    lease: MemoryLease,
    options: { epoch?: string; rate?: number; store?: LeaseStore } = {},
  ) {
    this.clock = new FakeClock(options.epoch);
    this.#rate = options.rate ?? 1;
    const clock = {
      now: () => this.clock.now(),
      monotonic: () => this.clock.monotonic() + this.#frozenFor,
      after: (milliseconds: number, run: () => void) => this.clock.after(milliseconds, run),
    };
    const election = new Election({
      store: options.store ?? lease.reachedBy((signal) => this.network(signal)),
      identity,
      log: this.log,
      clock,
      random: () => 0.5,
      onChange: (leads) => this.changes.push(leads),
    });
    void this.#run(election);
  }

  /** Lets time pass. While frozen, nothing of the process runs, but its clock goes on. */
  async pass(milliseconds: number): Promise<void> {
    const own = milliseconds * this.#rate;
    if (this.#frozen) this.#frozenFor += own;
    else this.clock.advance(own);
    await settled();
  }

  freeze(): void {
    this.#frozen = true;
  }

  thaw(): void {
    this.#frozen = false;
    const missed = this.#frozenFor;
    this.#frozenFor = 0;
    this.clock.jump(missed);
  }

  get leads(): boolean {
    return this.term?.mayWrite() ?? false;
  }

  async #run(election: Election): Promise<void> {
    while (!this.stop.signal.aborted) {
      this.term = await election.acquire(this.stop.signal);
      await this.term?.lost;
      await this.term?.end();
    }
  }
}

async function pass(milliseconds: number, ...candidates: Candidate[]): Promise<void> {
  for (let passed = 0; passed < milliseconds; passed += 500) {
    for (const candidate of candidates) await candidate.pass(500);
  }
}

/** How long it takes, in steps of half a second, until it is so. */
async function timeUntil(is: () => boolean, ...candidates: Candidate[]): Promise<number> {
  for (let passed = 0; passed <= 60_000; passed += 500) {
    if (is()) return passed;
    await pass(500, ...candidates);
  }
  throw new Error("not within a minute");
}

const unreachable = () => Promise.reject(new ClusterError("Unavailable", "connection refused"));

describe("a lease", () => {
  test("is taken by the first candidate and kept from the next for as long as it is renewed", async () => {
    const lease = new MemoryLease();
    const first = new Candidate("first", lease);
    await settled();
    const second = new Candidate("second", lease);
    await pass(120_000, first, second);
    expect([first.leads, second.leads]).toEqual([true, false]);
    expect(lease.lease?.spec).toMatchObject({
      holderIdentity: "first",
      leaseDurationSeconds: 15,
      leaseTransitions: 0,
      acquireTime: "2026-01-01T00:00:00.000000Z",
      renewTime: expect.stringMatching(/^2026-01-01T00:0[12]:\d\d\.\d{6}Z$/),
    });
    expect(new Set(lease.writes)).toEqual(new Set(["first"]));
  });

  test("goes to one of several that try in the same moment", async () => {
    const lease = new MemoryLease();
    const candidates = ["a", "b", "c"].map((identity) => new Candidate(identity, lease));
    await settled();
    expect(lease.writes.length).toBe(3);
    expect(candidates.filter(({ leads }) => leads).length).toBe(1);
  });

  test("is taken once it was not seen renewed for its duration, whatever the clock of its holder says", async () => {
    for (const epoch of ["1990-01-01T00:00:00Z", "2090-01-01T00:00:00Z"]) {
      const lease = new MemoryLease();
      const first = new Candidate("first", lease, { epoch });
      const second = new Candidate("second", lease);
      await pass(60_000, first, second);
      expect([first.leads, second.leads]).toEqual([true, false]);
      first.freeze();
      const took = await timeUntil(() => second.leads, first, second);
      expect(took).toBeGreaterThan(15_000 - 2_000 - 500);
      expect(took).toBeLessThan(15_000 + 2 * 2_000 * 2.2);
      expect(lease.lease?.spec).toMatchObject({ holderIdentity: "second", leaseTransitions: 1 });
    }
  });

  test("that was given back is taken at the next try", async () => {
    const lease = new MemoryLease();
    const first = new Candidate("first", lease);
    await settled();
    const second = new Candidate("second", lease);
    await pass(20_000, first, second);
    const ended = first.term?.end();
    expect(first.leads).toBe(false);
    await ended;
    expect(lease.lease?.spec).toMatchObject({ holderIdentity: "", leaseDurationSeconds: 1 });
    expect(await timeUntil(() => second.leads, second)).toBeLessThanOrEqual(2_000 * 2.2);
    expect(first.changes).toEqual([true, false]);
  });

  test("is given back though a renewal whose answer was lost came between", async () => {
    const lease = new MemoryLease();
    const first = new Candidate("first", lease);
    await settled();
    let requests = 0;
    first.network = async () => {
      requests++;
      if (requests === 2) lease.edit({ spec: { renewTime: "2026-01-01T00:00:01.000000Z" } });
    };
    await first.term?.end();
    expect(lease.lease?.spec?.holderIdentity).toBe("");
  });

  test("that somebody labels is kept by its holder, and the label is no sign of its life", async () => {
    const lease = new MemoryLease();
    const first = new Candidate("first", lease);
    await settled();
    const second = new Candidate("second", lease);
    lease.edit({ labels: { touched: "once" } });
    await pass(10_000, first, second);
    expect(first.leads).toBe(true);
    expect(lease.lease?.metadata.labels).toEqual({ touched: "once" });
    first.freeze();
    let touches = 0;
    await timeUntil(() => {
      lease.edit({ labels: { touched: String(touches++) } });
      return second.leads;
    }, second);
  });

  test("that was deleted is made again by whoever comes first, and by nobody else", async () => {
    const lease = new MemoryLease();
    const first = new Candidate("first", lease);
    await settled();
    const second = new Candidate("second", lease);
    await pass(5_000, first, second);
    lease.lease = undefined;
    await pass(10_000, first, second);
    expect([first.leads, second.leads].filter(Boolean).length).toBe(1);
  });
});

describe("the gate", () => {
  test("closes for one that was frozen past its deadline before anything of it runs again", async () => {
    const lease = new MemoryLease();
    const first = new Candidate("first", lease);
    await settled();
    await pass(30_000, first);
    expect(first.leads).toBe(true);
    first.freeze();
    await pass(10_000, first);
    first.thaw();
    expect(first.leads).toBe(false);
    await pass(2_500, first);
    expect(first.changes.slice(0, 2)).toEqual([true, false]);
  });

  test("closes after the deadline without an API server, before another may lead, and opens with the next term only", async () => {
    const lease = new MemoryLease();
    const first = new Candidate("first", lease);
    await settled();
    const { term } = first;
    await pass(30_000, first);
    first.network = unreachable;
    const closed = await timeUntil(() => !first.leads, first);
    expect(closed).toBeGreaterThanOrEqual(10_000 - 2_000);
    expect(closed).toBeLessThanOrEqual(10_000);
    await pass(20_000, first);
    first.network = () => Promise.resolve();
    await timeUntil(() => first.leads, first);
    expect(term?.mayWrite()).toBe(false);
    expect(first.changes).toEqual([true, false, true]);
  });

  test("counts from when a renewal was sent, not from its answer", async () => {
    const lease = new MemoryLease();
    const first = new Candidate("first", lease);
    await settled();
    let answer: () => void = () => undefined;
    first.network = () =>
      new Promise((resolve) => {
        answer = resolve;
      });
    await pass(2_000, first);
    await pass(4_000, first);
    first.network = unreachable;
    answer();
    await pass(6_000, first);
    // Ten seconds after the request at two; its answer came at six.
    expect(first.leads).toBe(false);
  });

  test("stays open while one of two requests hangs", async () => {
    const lease = new MemoryLease();
    const first = new Candidate("first", lease);
    await settled();
    let requests = 0;
    first.network = () => (requests++ % 2 === 0 ? new Promise(() => undefined) : Promise.resolve());
    for (let second = 0; second < 60; second++) {
      await pass(1_000, first);
      expect(first.leads, `after ${second} s`).toBe(true);
    }
  });

  test("closes as soon as another is seen to hold the lease", async () => {
    const lease = new MemoryLease();
    const first = new Candidate("first", lease);
    await settled();
    lease.edit({ spec: { holderIdentity: "thief" } });
    await pass(2_000, first);
    expect(first.leads).toBe(false);
    expect(lease.lease?.spec?.holderIdentity).toBe("thief");
  });

  test("is never open in two processes at once, whatever freezes, is cut off, or ticks faster", async () => {
    const step = fc.record({
      who: fc.nat(2),
      what: fc.constantFrom("freeze", "thaw", "cut", "join", "slow", "stop", "nothing"),
      milliseconds: fc.integer({ min: 100, max: 9_000 }),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
        const lease = new MemoryLease();
        const candidates = [1, 1.2, 0.85].map((rate, index) => new Candidate(`c${index}`, lease, { rate }));
        let led = 0;
        for (const { who, what, milliseconds } of steps) {
          const candidate = candidates[who];
          if (candidate === undefined) continue;
          if (what === "freeze") candidate.freeze();
          if (what === "thaw") candidate.thaw();
          if (what === "cut") candidate.network = unreachable;
          if (what === "join") candidate.network = () => Promise.resolve();
          if (what === "slow") {
            candidate.network = () =>
              new Promise((resolve) => {
                candidate.clock.after(milliseconds, resolve);
              });
          }
          if (what === "stop") void candidate.term?.end();
          for (let passed = 0; passed < milliseconds; passed += 250) {
            for (const each of candidates) await each.pass(250);
            const leaders = candidates.filter(({ leads }) => leads).length;
            expect(leaders).toBeLessThanOrEqual(1);
            led += leaders;
          }
        }
        for (const candidate of candidates) candidate.stop.abort();
        if (steps.length > 0) expect(led).toBeGreaterThan(0);
      }),
      // The same schedules each time: one that fails has to be found again.
      { numRuns: 300, seed: 20_261_124 },
    );
  });
});

test.each([
  { leaseDuration: 10_000, renewDeadline: 10_000, retryPeriod: 2_000 },
  { leaseDuration: 15_000, renewDeadline: 2_400, retryPeriod: 2_000 },
  { leaseDuration: 15_500, renewDeadline: 10_000, retryPeriod: 2_000 },
  { leaseDuration: 15_000, renewDeadline: 10_000, retryPeriod: 0 },
])("a timing that could have two lead at once is refused: %o", (timing) => {
  const store = new MemoryLease().reachedBy();
  expect(() => new Election({ store, identity: "a", log: new MemoryLog(), timing })).toThrow(
    expect.objectContaining({ code: "InvalidLeaseTiming" }),
  );
});
