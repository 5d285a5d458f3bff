import { describe, expect, test } from "vitest";
import { Election } from "../../../operator/kube/election.ts";
import type { Term } from "../../../operator/kube/term.ts";
import { Candidate, pass, STEP, settled, timeUntil } from "../../support/candidate.ts";
import { FakeClock } from "../../support/fake-clock.ts";
import { MemoryLease } from "../../support/memory-lease.ts";
import { MemoryLog } from "../../support/widgets.ts";

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
    // To come second is nothing to warn of.
    expect(candidates.flatMap(({ log }) => log.lines).filter(({ level }) => level !== "info")).toEqual([]);
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
    const wires = [{ out: 1_000 }, {}, { out: 2_000 }];
    first.wire = () => wires.shift() ?? {};
    await pass(2_000, first);
    const ended = first.term?.end();
    await settled();
    await pass(2_000, first);
    await ended;
    expect(lease.writes).toEqual(["first", "first", "", ""]);
    expect(first.log.lines.map(({ message }) => message)).toContain("gave the lease back");
    expect(first.log.lines.filter(({ level }) => level !== "info")).toEqual([]);
    expect(lease.lease?.spec?.holderIdentity).toBe("");
  });

  test("is not given back by a release that took too long and is answered in the term that follows", async () => {
    const lease = new MemoryLease();
    const first = new Candidate("first", lease);
    await settled();
    const second = new Candidate("second", lease);
    first.wire = () => ({ back: 7_000 });
    await first.resign();
    first.wire = () => ({});
    await pass(6_000, first, second);
    expect(first.changes).toEqual([true, false, true]);
    for (let half = 0; half < 20; half++) {
      await pass(500, first, second);
      expect([first.leads, second.leads]).toEqual([true, false]);
    }
    expect(lease.writes).not.toContain("");
    expect(first.unwanted).toBe(0);
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

  test("that is renewed on a wall clock that stands still is kept from the next", async () => {
    const lease = new MemoryLease();
    const first = new Candidate("first", lease);
    await settled();
    const second = new Candidate("second", lease);
    for (let passed = 0; passed < 60_000; passed += STEP) {
      await pass(STEP, first, second);
      first.clock.setBack(STEP);
      expect([first.leads, second.leads]).toEqual([true, false]);
    }
  });

  test("that was deleted is not taken by one that saw it held until it would have run out", async () => {
    for (const harm of ["cut", "freeze"]) {
      const lease = new MemoryLease();
      const first = new Candidate("first", lease);
      await settled();
      const second = new Candidate("second", lease);
      await pass(20_000, first, second);
      lease.lease = undefined;
      if (harm === "freeze") first.freeze();
      else first.wire = () => ({ cut: true });
      await timeUntil(
        () => {
          expect([first.leads, second.leads], harm).not.toEqual([true, true]);
          return second.leads;
        },
        first,
        second,
      );
    }
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
    const thawed = first.thaw();
    expect(first.leads).toBe(false);
    await thawed;
    await pass(2_500, first);
    expect(first.changes.slice(0, 2)).toEqual([true, false]);
  });

  test("closes after the deadline without an API server, before another may lead, and opens with the next term only", async () => {
    const lease = new MemoryLease();
    const first = new Candidate("first", lease);
    await settled();
    const { term } = first;
    await pass(30_000, first);
    first.wire = () => ({ cut: true });
    const closed = await timeUntil(() => !first.leads, first);
    expect(closed).toBeGreaterThanOrEqual(10_000 - 2_000);
    expect(closed).toBeLessThanOrEqual(10_000);
    await pass(20_000, first);
    first.wire = () => ({});
    await timeUntil(() => first.leads, first);
    expect(term?.mayWrite()).toBe(false);
    expect(first.changes).toEqual([true, false, true]);
  });

  test("closes on a clock that runs slow before another leads by one that runs two fifths faster", async () => {
    for (let phase = 0; phase < 12; phase++) {
      const lease = new MemoryLease();
      const slow = new Candidate("slow", lease, { rate: 0.85 });
      await settled();
      const fast = new Candidate("fast", lease, { rate: 1.2, random: 0 });
      await pass(20_000 + phase * STEP, slow, fast);
      slow.wire = () => ({ cut: true });
      await timeUntil(
        () => {
          expect([slow.leads, fast.leads]).not.toEqual([true, true]);
          return fast.leads;
        },
        slow,
        fast,
      );
    }
  });

  test("counts from when a renewal was sent, not from its answer", async () => {
    const lease = new MemoryLease();
    const first = new Candidate("first", lease);
    await settled();
    first.wire = () => ({ back: 4_000 });
    await pass(2_000, first);
    first.wire = () => ({ cut: true });
    await pass(9_750, first);
    expect(first.leads).toBe(true);
    await pass(250, first);
    expect(first.leads).toBe(false);
  });

  test("that has closed is not opened by an answer that comes late, whether it was awaited or slept through", async () => {
    for (const first of ["timers", "answers"] as const) {
      const one = new Candidate("one", new MemoryLease());
      await settled();
      const { term } = one;
      one.wire = () => ({ cut: true });
      await pass(7_000, one);
      one.wire = () => ({ back: 3_500 });
      await pass(1_000, one);
      if (first === "answers") one.freeze();
      await pass(2_000, one);
      expect(term?.mayWrite()).toBe(false);
      await pass(2_000, one);
      // What is awaited in vain does not delay the news.
      if (first === "timers") expect(one.changes.slice(0, 2)).toEqual([true, false]);
      await one.thaw(first);
      expect(term?.mayWrite(), first).toBe(false);
    }
  });

  test("is closed when the loss is told", async () => {
    const lease = new MemoryLease();
    const told: boolean[] = [];
    const clock = new FakeClock();
    const election = new Election({
      store: lease.store,
      identity: "first",
      log: new MemoryLog(),
      clock,
      onChange: () => void told.push(term?.mayWrite() ?? false),
    });
    let term: Term | undefined;
    term = await election.acquire(new AbortController().signal);
    lease.edit({ spec: { holderIdentity: "thief" } });
    clock.advance(2_000);
    await term?.lost;
    expect(term?.mayWrite()).toBe(false);
    expect(told).toEqual([false, false]);
  });

  test("stays open while one of two requests hangs", async () => {
    const lease = new MemoryLease();
    const first = new Candidate("first", lease);
    await settled();
    let requests = 0;
    first.wire = () => (requests++ % 2 === 0 ? { out: Number.POSITIVE_INFINITY } : {});
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
});
