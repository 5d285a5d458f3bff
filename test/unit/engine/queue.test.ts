import fc from "fast-check";
import { expect, test } from "vitest";
import { priorities, type Taken, WorkQueue } from "../../../operator/engine/queue.ts";
import { FakeClock } from "../../support/fake-clock.ts";

async function takeNow(queue: WorkQueue): Promise<Taken> {
  expect(queue.ready).toBeGreaterThan(0);
  const taken = await queue.take();
  if (taken === undefined) throw new Error("the queue is shut down");
  return taken;
}

async function takeAll(queue: WorkQueue): Promise<string[]> {
  const keys: string[] = [];
  while (queue.ready > 0) {
    const { key } = await takeNow(queue);
    keys.push(key);
    queue.done(key);
  }
  return keys;
}

test("a key added many times is handed out once", async () => {
  const queue = new WorkQueue(new FakeClock());
  for (let i = 0; i < 5; i++) queue.add("a");
  queue.add("b");
  expect(await takeAll(queue)).toEqual(["a", "b"]);
});

test("a key added while it is in work is handed out again, but only after it is done", async () => {
  const queue = new WorkQueue(new FakeClock());
  queue.add("a");
  await takeNow(queue);
  queue.add("a");
  queue.add("a");
  expect(queue.ready).toBe(0);
  queue.done("a");
  expect(await takeAll(queue)).toEqual(["a"]);
});

test("a delayed key that falls due while it is in work waits for done", async () => {
  const clock = new FakeClock();
  const queue = new WorkQueue(clock);
  queue.add("a");
  await takeNow(queue);
  queue.add("a", { after: 100 });
  clock.advance(1000);
  expect(queue.ready).toBe(0);
  queue.done("a");
  expect(await takeAll(queue)).toEqual(["a"]);
});

test("a newcomer is handed out ahead of ten thousand resynced keys", async () => {
  const queue = new WorkQueue(new FakeClock());
  for (let i = 0; i < 10_000; i++) queue.add(`old-${i}`, { priority: priorities.Backlog });
  queue.done((await takeNow(queue)).key);
  queue.add("new", { priority: priorities.User });
  expect((await takeNow(queue)).key).toBe("new");
});

test("a queued key that is added with a higher priority moves ahead, and never back", async () => {
  const queue = new WorkQueue(new FakeClock());
  for (const key of ["a", "b", "c"]) queue.add(key, { priority: priorities.Backlog });
  queue.add("c", { priority: priorities.User });
  queue.add("c", { priority: priorities.Backlog });
  expect(await takeAll(queue)).toEqual(["c", "a", "b"]);
});

test("urgent keys that never stop coming don't starve the backlog", async () => {
  const clock = new FakeClock();
  const queue = new WorkQueue(clock);
  queue.add("patient", { priority: priorities.Backlog });
  let handedOut = 0;
  for (let i = 0; ; i++) {
    clock.advance(1);
    queue.add(`urgent-${i}`, { priority: priorities.User });
    queue.add(`urgent-too-${i}`, { priority: priorities.User });
    const { key } = await takeNow(queue);
    queue.done(key);
    handedOut++;
    if (key === "patient") break;
    expect(handedOut).toBeLessThan(10);
  }
});

test("a delayed key is handed out when its time has come, sooner if it is added sooner, never later", async () => {
  const clock = new FakeClock();
  const queue = new WorkQueue(clock);
  queue.add("a", { after: 1000 });
  queue.add("a", { after: 5000 });
  queue.add("b", { after: 1000 });
  queue.add("b", { after: 200 });
  clock.advance(199);
  expect(queue.ready).toBe(0);
  clock.advance(1);
  expect(await takeAll(queue)).toEqual(["b"]);
  clock.advance(799);
  expect(queue.ready).toBe(0);
  clock.advance(1);
  expect(await takeAll(queue)).toEqual(["a"]);
});

test("a change cuts a delay short, and the delay does not come back", async () => {
  const clock = new FakeClock();
  const queue = new WorkQueue(clock);
  queue.add("a", { after: 1000 });
  queue.add("a");
  expect(await takeAll(queue)).toEqual(["a"]);
  clock.advance(10_000);
  expect(queue.size).toBe(0);
});

test("retries wait 5 ms, doubled each time, up to 1000 s, and start again once forgotten", async () => {
  const clock = new FakeClock();
  const queue = new WorkQueue(clock);
  const waited: number[] = [];
  for (let i = 0; i < 20; i++) {
    queue.retry("a", priorities.Change);
    const from = clock.monotonic();
    while (queue.ready === 0) clock.advance(5);
    waited.push(clock.monotonic() - from);
    queue.done((await takeNow(queue)).key);
  }
  expect(waited.slice(0, 5)).toEqual([5, 10, 20, 40, 80]);
  expect(waited.at(-1)).toBe(1_000_000);
  queue.forget("a");
  queue.retry("a", priorities.Change);
  clock.advance(5);
  expect(queue.ready).toBe(1);
});

test("a take waits for a key, and takers are served in their order", async () => {
  const queue = new WorkQueue(new FakeClock());
  const first = queue.take();
  const second = queue.take();
  queue.add("a");
  queue.add("b");
  expect([(await first)?.key, (await second)?.key]).toEqual(["a", "b"]);
});

test("shutting down hands out nothing more and ends when the keys in work are done", async () => {
  const clock = new FakeClock();
  const queue = new WorkQueue(clock);
  queue.add("a");
  queue.add("b");
  queue.add("later", { after: 10 });
  await takeNow(queue);
  let ended = false;
  const down = queue.shutDown().then(() => {
    ended = true;
  });
  queue.add("c");
  clock.advance(100);
  expect(await queue.take()).toBeUndefined();
  await Promise.resolve();
  expect(ended).toBe(false);
  queue.done("a");
  await down;
});

test("a taker that waits when the queue shuts down is told", async () => {
  const queue = new WorkQueue(new FakeClock());
  const waiting = queue.take();
  await queue.shutDown();
  expect(await waiting).toBeUndefined();
});

test("what is measured adds up", async () => {
  const clock = new FakeClock();
  const seen = { added: 0, retried: 0, waited: [] as number[], worked: [] as number[], depth: [0, 0, 0] };
  const queue = new WorkQueue(clock, {
    depth: (priority, ready) => {
      seen.depth[priority] = ready;
    },
    added: () => seen.added++,
    taken: (waited) => seen.waited.push(waited),
    finished: (worked) => seen.worked.push(worked),
    retried: () => seen.retried++,
  });
  queue.add("a", { priority: priorities.User });
  queue.add("a", { priority: priorities.User });
  queue.add("b", { priority: priorities.Backlog, after: 1000 });
  expect(seen.depth).toEqual([0, 0, 1]);
  clock.advance(2000);
  expect(seen.depth).toEqual([1, 0, 1]);
  const { key } = await takeNow(queue);
  clock.advance(500);
  expect(queue.inWork()).toEqual({ sum: 0.5, longest: 0.5 });
  queue.done(key);
  expect(seen).toEqual({ added: 2, retried: 1, waited: [2], worked: [0.5], depth: [1, 0, 0] });
});

test("whatever is done to it, no key is in work twice, and every key added is handed out", async () => {
  const action = fc.oneof(
    fc.record({
      do: fc.constant("add" as const),
      key: fc.integer({ min: 0, max: 4 }).map(String),
      priority: fc.constantFrom(...Object.values(priorities)),
      after: fc.constantFrom(0, 0, 3, 50),
    }),
    fc.record({ do: fc.constant("take" as const) }),
    fc.record({ do: fc.constant("done" as const), which: fc.nat() }),
    fc.record({ do: fc.constant("advance" as const), by: fc.integer({ min: 1, max: 40 }) }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(action, { maxLength: 80 }), async (actions) => {
      const clock = new FakeClock();
      const queue = new WorkQueue(clock);
      const inWork: string[] = [];
      const owed = new Set<string>();
      for (const step of actions) {
        if (step.do === "add") {
          queue.add(step.key, step);
          owed.add(step.key);
        } else if (step.do === "take" && queue.ready > 0) {
          const { key } = await takeNow(queue);
          expect(inWork).not.toContain(key);
          inWork.push(key);
          owed.delete(key);
        } else if (step.do === "done" && inWork.length > 0) {
          for (const key of inWork.splice(step.which % inWork.length, 1)) queue.done(key);
        } else if (step.do === "advance") {
          clock.advance(step.by);
        }
      }
      for (const key of inWork) queue.done(key);
      clock.advance(50);
      expect(new Set(await takeAll(queue))).toEqual(owed);
      expect(queue.size).toBe(0);
    }),
  );
});
