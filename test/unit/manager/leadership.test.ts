import { describe, expect, test } from "vitest";
import { alwaysLeading, type Leadership, leadInTerms } from "../../../operator/manager/leadership.ts";
import { FakeClock } from "../../support/fake-clock.ts";
import { settled } from "../../support/widgets.ts";

/** Terms that a test begins and takes away, and what was done in them, in order. */
function scene() {
  const done: string[] = [];
  const stop = new AbortController();
  const clock = new FakeClock();
  let grant: (term: Leadership | undefined) => void = () => undefined;
  let lose: () => void = () => undefined;
  let finish: () => void = () => undefined;
  const work = leadInTerms({
    acquire: (signal) =>
      new Promise((resolve) => {
        done.push("acquire");
        grant = resolve;
        signal.addEventListener("abort", () => resolve(undefined));
      }),
    start: async () => {
      done.push("start");
      return {
        stop: () =>
          new Promise<void>((resolve) => {
            done.push("stop");
            finish = () => {
              done.push("finished");
              resolve();
            };
          }),
      };
    },
    signal: stop.signal,
    clock,
  });
  const begin = async () => {
    const { promise: lost, resolve } = Promise.withResolvers<void>();
    lose = resolve;
    grant({ mayWrite: () => true, lost, end: async () => void done.push("end") });
    await settled();
  };
  return {
    done,
    stop,
    clock,
    work,
    begin,
    lose: async () => {
      lose();
      await settled();
    },
    finish: async () => {
      finish();
      await settled();
    },
  };
}

describe("working in terms", () => {
  test("gives the lease back only after what was under way is finished", async () => {
    const { done, stop, work, begin, finish } = scene();
    await begin();
    stop.abort();
    await settled();
    expect(done).toEqual(["acquire", "start", "stop"]);
    await finish();
    await work;
    expect(done).toEqual(["acquire", "start", "stop", "finished", "end"]);
  });

  test("begins a new term after one that was lost, when nothing of that is under way any more", async () => {
    const { done, stop, work, begin, lose, finish } = scene();
    await begin();
    await lose();
    expect(done).toEqual(["acquire", "start", "stop"]);
    await finish();
    expect(done.slice(3)).toEqual(["finished", "end", "acquire"]);
    await begin();
    expect(done.at(-1)).toBe("start");
    stop.abort();
    await settled();
    await finish();
    await work;
  });

  test("ends without a term when it is stopped as a candidate", async () => {
    const { done, stop, work } = scene();
    await settled();
    stop.abort();
    await work;
    expect(done).toEqual(["acquire"]);
  });

  test("fails when what is under way does not end, and keeps the lease: it may still write", async () => {
    const { done, stop, clock, work, begin } = scene();
    await begin();
    stop.abort();
    await settled();
    clock.advance(35_000);
    await expect(work).rejects.toMatchObject({ code: "WorkStuck" });
    expect(done).not.toContain("end");
  });

  test("fails with what the work fails to begin with", async () => {
    const failing = leadInTerms({
      acquire: async () => ({
        mayWrite: () => true,
        lost: new Promise(() => undefined),
        end: async () => undefined,
      }),
      start: () => Promise.reject(new Error("no such kind")),
      signal: new AbortController().signal,
      clock: new FakeClock(),
    });
    await expect(failing).rejects.toThrow("no such kind");
  });

  test("fails when what it begins with does not end, though it was told to stop", async () => {
    const stop = new AbortController();
    const clock = new FakeClock();
    const hanging = leadInTerms({
      acquire: async () => alwaysLeading,
      start: () => new Promise(() => undefined),
      signal: stop.signal,
      clock,
    });
    const failed = expect(hanging).rejects.toMatchObject({ code: "WorkStuck" });
    await settled();
    stop.abort();
    await settled();
    clock.advance(35_000);
    await failed;
  });

  test("leaves no timer behind, which would keep the process from ending", async () => {
    const stop = new AbortController();
    const timers = new Set<object>();
    const clock = new FakeClock();
    const counted = {
      now: () => clock.now(),
      monotonic: () => clock.monotonic(),
      after: () => {
        const timer = {};
        timers.add(timer);
        return () => void timers.delete(timer);
      },
    };
    const stopWork = async () => expect(timers.size).toBe(1);
    const leading = leadInTerms({
      acquire: async () => alwaysLeading,
      start: async () => ({ stop: stopWork }),
      signal: stop.signal,
      clock: counted,
    });
    await settled();
    stop.abort();
    await leading;
    expect(timers.size).toBe(0);
  });
});
