import fc from "fast-check";
import { expect, test } from "vitest";
import { highest } from "../../../lib/v2/top-k.ts";

/** Few different values, so that most rows have equal ones, and all that floats have besides numbers. */
const value = fc.oneof(
  fc.integer({ min: -3, max: 3 }),
  fc.constantFrom(Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, -0),
  fc.double(),
);

/** The definition: a stable sort of the whole row. */
function bySorting(values: readonly number[], k: number): number[] {
  const rank = (index: number): number => {
    const one = values[index] ?? 0;
    return Number.isNaN(one) ? Number.NEGATIVE_INFINITY : one;
  };
  const higherFirst = (a: number, b: number): number =>
    rank(a) === rank(b) ? 0 : rank(a) < rank(b) ? 1 : -1;
  return [...values.keys()].sort(higherFirst).slice(0, k);
}

test("the highest are those that a stable sort of the whole row puts first, in its order", () => {
  fc.assert(
    fc.property(fc.array(value, { maxLength: 60 }), fc.integer({ min: 0, max: 70 }), (values, k) => {
      expect(highest(k, values.length, (index) => values[index] ?? 0)).toEqual(bySorting(values, k));
    }),
    { numRuns: 2000 },
  );
});

test("each value is looked at once", () => {
  let looked = 0;
  highest(5, 1000, (index) => {
    looked += 1;
    return (index * 7919) % 1000;
  });
  expect(looked).toBe(1000);
});
