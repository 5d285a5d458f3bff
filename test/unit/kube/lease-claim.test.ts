import { describe, expect, test } from "vitest";
import { Candidate, pass, settled, timeUntil } from "../../support/candidate.ts";
import { MemoryLease } from "../../support/memory-lease.ts";

const messages = ({ log }: Candidate, level?: string) =>
  log.lines.filter((line) => level === undefined || line.level === level).map(({ message }) => message);

/** One that leads, and another that waits. */
async function two() {
  const lease = new MemoryLease();
  const first = new Candidate("first", lease);
  await settled();
  const second = new Candidate("second", lease);
  await pass(10_000, first, second);
  return { lease, first, second };
}

describe("a candidate", () => {
  test("waits as long as the lease says, not as long as its own would last", async () => {
    const lease = new MemoryLease();
    const timing = { leaseDuration: 40_000, renewDeadline: 30_000, retryPeriod: 2_000 };
    const first = new Candidate("first", lease, { timing });
    await settled();
    const second = new Candidate("second", lease);
    await pass(10_000, first, second);
    expect(lease.lease?.spec?.leaseDurationSeconds).toBe(40);
    first.wire = () => ({ cut: true });
    await timeUntil(
      () => {
        expect([first.leads, second.leads]).not.toEqual([true, true]);
        return second.leads;
      },
      first,
      second,
    );
    expect(lease.lease?.spec?.leaseDurationSeconds).toBe(15);
  });

  test("that never led tells nobody that it did", async () => {
    const { second } = await two();
    expect(second.changes).toEqual([]);
    expect(messages(second)).toEqual(["another leads"]);
  });

  test("asks again though an answer never comes, and says once what keeps it", async () => {
    const { first, second } = await two();
    first.freeze();
    let asked = 0;
    second.wire = () => {
      asked++;
      return { out: Number.POSITIVE_INFINITY };
    };
    await pass(30_000, first, second);
    expect(asked).toBeGreaterThan(2);
    expect(messages(second, "warn")).toEqual(["the lease can't be held"]);
    second.wire = () => ({});
    await timeUntil(() => second.leads, second);
    second.wire = () => ({ out: Number.POSITIVE_INFINITY });
    await pass(7_500, second);
    expect(messages(second, "warn")).toEqual(["the lease can't be held", "the lease can't be held"]);
  });

  test("pauses for longer than its retry period by what chance says", async () => {
    const asked = async (random: number) => {
      const lease = new MemoryLease();
      const first = new Candidate("first", lease);
      await settled();
      const second = new Candidate("second", lease, { random });
      let count = 0;
      second.wire = () => {
        count++;
        return {};
      };
      await pass(22_000, first, second);
      return count;
    };
    expect([await asked(0), await asked(1)]).toEqual([11, 4]);
  });

  test("does not begin where it is told to end", async () => {
    const { second, lease } = await two();
    const ended = AbortSignal.abort(new Error("the process stops"));
    const writes = lease.writes.length;
    expect(await second.election.acquire(ended)).toBeUndefined();
    expect(lease.writes.length).toBe(writes);
    expect(messages(second, "warn")).toEqual([]);
  });

  test("can be told from one that is stuck", async () => {
    const { first } = await two();
    expect(first.election.idle).toBeLessThanOrEqual(2_000);
    first.wire = () => ({ out: Number.POSITIVE_INFINITY });
    await pass(2_000, first);
    const before = first.election.idle;
    await pass(1_000, first);
    expect(first.election.idle).toBe(before + 1_000);
  });
});

describe("a renewal", () => {
  test("keeps what others wrote into the lease, and so do its return and its next holder", async () => {
    const { lease, first, second } = await two();
    lease.edit({ spec: { strategy: "ours" } as object });
    await pass(4_000, first);
    expect(lease.lease?.spec).toMatchObject({ holderIdentity: "first", strategy: "ours" });
    await first.term?.end();
    expect(lease.lease?.spec).toMatchObject({ holderIdentity: "", strategy: "ours" });
    await timeUntil(() => second.leads, second);
    expect(lease.lease?.spec).toMatchObject({ holderIdentity: "second", strategy: "ours" });
  });

  test("that fails is one request, and not a second one to see why", async () => {
    const { first } = await two();
    let asked = 0;
    first.wire = () => {
      asked++;
      return { cut: true };
    };
    await pass(2_000, first);
    expect(asked).toBe(1);
  });

  test("is told from every other by the digits of its time, of which there are six", async () => {
    const lease = new MemoryLease();
    const first = new Candidate("first", lease);
    await settled();
    lease.edit({ spec: { renewTime: "2026-01-01T00:00:00.000999Z" } });
    await pass(2_000, first);
    expect(lease.lease?.spec?.renewTime).toBe("2026-01-01T00:00:02.000000Z");
  });
});

describe("a release", () => {
  test("is given up where others write each time that it is tried", async () => {
    const { lease, first } = await two();
    const writes = lease.writes.length;
    let edits = 0;
    first.wire = () => {
      lease.edit({ labels: { edited: String(edits++) } });
      return {};
    };
    await first.term?.end();
    expect(lease.writes.slice(writes)).toEqual(["", "", ""]);
    expect(messages(first, "warn")).toEqual(["the lease could not be given back"]);
  });

  test("is tried once where there is no API server, and makes no lease where there is none", async () => {
    const cut = await two();
    let asked = 0;
    const { wire } = cut.first;
    cut.first.wire = () => ({ ...wire(), cut: ++asked > 1 });
    await cut.first.term?.end();
    expect(asked).toBe(2);
    const deleted = await two();
    deleted.lease.lease = undefined;
    await deleted.first.term?.end();
    expect(deleted.lease.lease).toBeUndefined();
    expect(messages(deleted.first, "warn")).toEqual([]);
  });

  test("asks nothing where another is known to hold the lease", async () => {
    const { lease, first } = await two();
    const { term } = first;
    lease.edit({ spec: { holderIdentity: "thief" } });
    await pass(2_000, first);
    let asked = 0;
    first.wire = () => {
      asked++;
      return {};
    };
    await term?.end();
    expect(asked).toBe(0);
    expect(messages(first)).toEqual(["leads", "another leads", "leads no more"]);
  });

  test("is no failure, also of one that was frozen past its deadline", async () => {
    const { first } = await two();
    first.freeze();
    await pass(11_000, first);
    const ended = first.term?.end();
    await settled();
    await first.thaw("answers");
    await ended;
    expect(messages(first)).toEqual(["leads", "nobody leads", "gave the lease back"]);
  });
});
