import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Activity } from "../../../lib/http/activity.ts";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

async function settled(promise: Promise<boolean>): Promise<boolean | "waits"> {
  return Promise.race([promise, Promise.resolve().then(() => "waits" as const)]);
}

test("quiet begins when the last connection closes, and a new one begins it anew", async () => {
  const activity = new Activity(() => Date.now());
  activity.opened();
  const quiet = activity.quiet(1000, Date.now() + 60_000);
  await vi.advanceTimersByTimeAsync(5000);
  activity.closed();
  await vi.advanceTimersByTimeAsync(900);
  activity.opened();
  activity.closed();
  await vi.advanceTimersByTimeAsync(900);
  expect(await settled(quiet)).toBe("waits");
  await vi.advanceTimersByTimeAsync(100);
  expect(await quiet).toBe(true);
});

test("a server that never had a connection is quiet only after the quiet time", async () => {
  const activity = new Activity(() => Date.now());
  await vi.advanceTimersByTimeAsync(60_000);
  const quiet = activity.quiet(1000, Date.now() + 60_000);
  await vi.advanceTimersByTimeAsync(999);
  expect(await settled(quiet)).toBe("waits");
  await vi.advanceTimersByTimeAsync(1);
  expect(await quiet).toBe(true);
});

test("the budget ends the wait, and so does a stop", async () => {
  const activity = new Activity(() => Date.now());
  activity.opened();
  const budget = activity.quiet(1, Date.now() + 500);
  await vi.advanceTimersByTimeAsync(500);
  expect(await budget).toBe(false);

  activity.began();
  const idle = activity.idle(Date.now() + 500);
  activity.stop();
  await vi.advanceTimersByTimeAsync(0);
  expect(await idle).toBe(false);
});
