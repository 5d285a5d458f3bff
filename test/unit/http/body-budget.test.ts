import { totalmem } from "node:os";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { BodyBudget, bodyBudgetBytes } from "../../../lib/http/body-budget.ts";

const MB = 1024 * 1024;

describe("the bytes that a process may hold", () => {
  test("are a part of its memory, and enough for one of the largest bodies in any memory", () => {
    expect(bodyBudgetBytes({ maxRequestBytes: 64 * MB }, 4096 * MB)).toBe(1024 * MB);
    expect(bodyBudgetBytes({ maxRequestBytes: 64 * MB }, 256 * MB)).toBe(192 * MB);
    // A compressed one and what it inflates to.
    const held = new BodyBudget(bodyBudgetBytes({ maxRequestBytes: 64 * MB }, 0)).open();
    held.grow(64 * MB);
    held.grow(64 * MB);
    expect(held.bytes).toBe(128 * MB);
  });

  test("are what the configuration says, and a part of this process's memory where it is silent", () => {
    expect(bodyBudgetBytes({ maxRequestBytes: MB, maxHeldBytes: 5 * MB })).toBe(5 * MB);
    const own = bodyBudgetBytes({ maxRequestBytes: 1 });
    expect(own).toBeGreaterThan(MB);
    expect(own).toBeLessThanOrEqual(totalmem() / 4);
  });
});

describe("beyond the bound", () => {
  test("is refused with 503, counted, and takes nothing", () => {
    const budget = new BodyBudget(10);
    const held = budget.open();
    held.grow(8);
    expect(() => budget.open().grow(3)).toThrow(expect.objectContaining({ code: "ServerFull", status: 503 }));
    expect([budget.held, budget.refused]).toEqual([8, 1]);
    held.release();
    expect(budget.held).toBe(0);
  });

  test("a request that could not be held if it were alone is told so, and not to try again", () => {
    for (const limit of [10, 16 * MB]) {
      const budget = new BodyBudget(limit);
      const { mostOfOne } = budget;
      const held = budget.open();
      held.grow(mostOfOne);
      expect(() => held.grow(1)).toThrow(
        expect.objectContaining({ code: "RequestHoldsTooMuch", status: 413 }),
      );
      expect(() => budget.open().grow(mostOfOne)).toThrow(expect.objectContaining({ code: "ServerFull" }));
      expect(budget.held).toBe(mostOfOne);
    }
  });

  test("small requests are taken while large ones have filled their part", () => {
    const budget = new BodyBudget(16 * MB);
    const large = budget.open();
    while (large.tryGrow(64 * 1024));
    expect(large.bytes).toBe(14 * MB);
    const small = budget.open();
    small.grow(64 * 1024);
    expect(() => budget.open().grow(3 * MB)).toThrow();
    expect(budget.held).toBe(14 * MB + 64 * 1024);
  });
});

/** What may happen to one of eight requests. */
const step = fc.record({
  request: fc.integer({ min: 0, max: 7 }),
  act: fc.constantFrom("grow", "grow", "grow", "shrink", "end"),
  bytes: fc.integer({ min: 0, max: 3 * MB }),
});

test("in any order of bodies that grow, are cut and end, what is held is what the open ones hold, within the bound; all ended, it is 0", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), fc.integer({ min: 1, max: 20 * MB }), (steps, limit) => {
      const budget = new BodyBudget(limit);
      const open = Array.from({ length: 8 }, () => budget.open());
      const ended: typeof open = [];
      for (const { request, act, bytes } of steps) {
        const held = open[request];
        if (held === undefined) throw new Error("no such request");
        if (act === "grow") held.tryGrow(bytes);
        if (act === "shrink") held.shrink(bytes);
        if (act === "end") {
          held.release();
          ended.push(held);
          // A request ends more than once, by its error and by its connection, and late chunks come.
          held.release();
          held.tryGrow(bytes);
          open[request] = budget.open();
        }
        expect(budget.held).toBe(open.reduce((sum, each) => sum + each.bytes, 0));
        expect(budget.held).toBeLessThanOrEqual(limit);
      }
      for (const held of [...open, ...ended]) held.release();
      expect(budget.held).toBe(0);
    }),
  );
});
