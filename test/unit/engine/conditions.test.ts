import fc from "fast-check";
import { expect, test } from "vitest";
import { findCondition, rfc3339, setCondition } from "../../../operator/engine/conditions.ts";
import type { Condition } from "../../../operator/engine/objects.ts";

const early = new Date("2026-01-01T00:00:00.999Z");
const late = new Date("2026-01-02T00:00:00Z");
const ready = {
  type: "Ready",
  status: "False",
  reason: "Starting",
  message: "0 of 2",
  observedGeneration: 1,
} as const;

test("a condition is added with the time of its making, in whole seconds", () => {
  expect(setCondition([], ready, early)).toEqual([{ ...ready, lastTransitionTime: "2026-01-01T00:00:00Z" }]);
});

test("a new reason and message keep the time of the last transition", () => {
  const changed = { ...ready, reason: "Waiting", message: "1 of 2", observedGeneration: 2 };
  expect(setCondition(setCondition([], ready, early), changed, late)).toEqual([
    { ...changed, lastTransitionTime: rfc3339(early) },
  ]);
});

test("a new status is a transition", () => {
  const conditions = setCondition(setCondition([], ready, early), { ...ready, status: "True" }, late);
  expect(findCondition(conditions, "Ready")).toMatchObject({
    status: "True",
    lastTransitionTime: rfc3339(late),
  });
});

test("others stay, in their order, and nothing given is changed", () => {
  const other = { ...ready, type: "Progressing" };
  const before = Object.freeze(setCondition(setCondition([], ready, early), other, early));
  const after = setCondition(before, { ...ready, status: "True" }, late);
  expect(after.map((condition) => condition.type)).toEqual(["Ready", "Progressing"]);
  expect(after[1]).toBe(before[1]);
});

test("setting the same again, at whatever time, changes nothing", () => {
  const condition = fc.record({
    type: fc.constantFrom("Ready", "Progressing", "Degraded"),
    status: fc.constantFrom<Condition["status"]>("True", "False", "Unknown"),
    reason: fc.constantFrom("A", "B"),
    message: fc.string(),
  });
  const time = fc.date({ min: early, max: late, noInvalidDate: true });
  fc.assert(
    fc.property(fc.array(fc.tuple(condition, time)), condition, time, time, (past, change, first, second) => {
      const before = past.reduce<Condition[]>((all, [one, at]) => setCondition(all, one, at), []);
      const once = setCondition(before, change, first);
      expect(setCondition(once, change, second)).toEqual(once);
    }),
  );
});

test("words that are too long are cut to what an API server stores, between two characters", () => {
  const long = { ...ready, reason: "R".repeat(5000), message: `${"x".repeat(32_767)}😀` };
  const [condition] = setCondition([], long, early);
  expect(condition?.reason).toHaveLength(1024);
  expect(condition?.message).toHaveLength(32_768);
  expect(condition?.message.isWellFormed()).toBe(true);
});
