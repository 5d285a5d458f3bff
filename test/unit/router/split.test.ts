import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { PercentSampler, WeightedChoice } from "../../../runtimes/router/split.ts";

describe("a weighted choice", () => {
  it("gives each alternative exactly its weight in every hundred requests", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 100 }), (weight) => {
        const choice = new WeightedChoice([100 - weight, weight]);
        for (let hundred = 0; hundred < 3; hundred += 1) {
          const counts = [0, 0];
          for (let n = 0; n < 100; n += 1) {
            const index = choice.next();
            counts[index] = (counts[index] ?? 0) + 1;
          }
          expect(counts).toEqual([100 - weight, weight]);
        }
      }),
    );
  });

  it("is never off by as much as the number of alternatives, over any stretch from the start", () => {
    const weights = fc
      .array(fc.integer({ min: 0, max: 100 }), { minLength: 2, maxLength: 6 })
      .filter((list) => list.some((weight) => weight > 0));
    fc.assert(
      fc.property(weights, fc.integer({ min: 1, max: 500 }), (list, requests) => {
        const choice = new WeightedChoice(list);
        const total = list.reduce((sum, weight) => sum + weight, 0);
        const counts = list.map(() => 0);
        for (let n = 1; n <= requests; n += 1) {
          const index = choice.next();
          counts[index] = (counts[index] ?? 0) + 1;
          for (const [alternative, weight] of list.entries()) {
            expect(Math.abs((counts[alternative] ?? 0) - (n * weight) / total)).toBeLessThan(list.length);
          }
        }
      }),
    );
  });

  it("never chooses an alternative of weight 0, and refuses weights that are all 0", () => {
    const choice = new WeightedChoice([0, 1, 0]);
    expect(Array.from({ length: 5 }, () => choice.next())).toEqual([1, 1, 1, 1, 1]);
    expect(() => new WeightedChoice([0, 0])).toThrow(RangeError);
  });

  it("sends a 5 % canary its first request within the first 20, not in a burst", () => {
    const choice = new WeightedChoice([95, 5]);
    const chosen = Array.from({ length: 100 }, () => choice.next());
    const gaps = chosen.flatMap((index, at) => (index === 1 ? [at] : []));
    expect(gaps).toHaveLength(5);
    for (const [n, at] of gaps.entries()) expect(Math.floor(at / 20)).toBe(n);
  });
});

describe("a percent sampler", () => {
  it("takes exactly its percent of every hundred", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 100 }), (percent) => {
        const sampler = new PercentSampler(percent);
        for (let hundred = 0; hundred < 3; hundred += 1) {
          const taken = Array.from({ length: 100 }, () => sampler.take()).filter(Boolean).length;
          expect(taken).toBe(percent);
        }
      }),
    );
  });
});
