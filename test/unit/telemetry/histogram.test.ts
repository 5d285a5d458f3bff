import fc from "fast-check";
import { expect, test } from "vitest";
import { emptyCounts, LATENCY_BOUNDS_MS, merge, quantile, record } from "../../../lib/telemetry/histogram.ts";

const latencies = fc.array(fc.double({ min: 0, max: 99_000, noNaN: true }), { minLength: 1, maxLength: 300 });

function countsOf(samples: number[]) {
  const counts = emptyCounts();
  for (const sample of samples) record(counts, sample);
  return counts;
}

test("the bounds rise, end at 100 s, and are round numbers", () => {
  expect(LATENCY_BOUNDS_MS).toEqual([...new Set(LATENCY_BOUNDS_MS)].toSorted((a, b) => a - b));
  expect(LATENCY_BOUNDS_MS.at(0)).toBe(0.1);
  expect(LATENCY_BOUNDS_MS.at(-1)).toBe(100_000);
  expect(LATENCY_BOUNDS_MS).toContain(80);
  expect(Math.max(...LATENCY_BOUNDS_MS.map((b) => String(b).length))).toBeLessThanOrEqual(6);
});

test("each sample lands in the first bucket whose bound is not below it", () => {
  fc.assert(
    fc.property(fc.double({ min: 0, max: 200_000, noNaN: true }), (sample) => {
      const found = LATENCY_BOUNDS_MS.findIndex((bound) => bound >= sample);
      return countsOf([sample])[found < 0 ? LATENCY_BOUNDS_MS.length : found] === 1;
    }),
  );
});

test("a quantile lies in the bucket of the true one", () => {
  fc.assert(
    fc.property(latencies, fc.double({ min: 0.01, max: 1, noNaN: true }), (samples, q) => {
      const truth = samples.toSorted((a, b) => a - b)[Math.max(0, Math.ceil(q * samples.length) - 1)] ?? 0;
      const upper = LATENCY_BOUNDS_MS.findIndex((bound) => bound >= truth);
      const read = quantile(countsOf(samples), q) ?? Number.NaN;
      expect(read).toBeLessThanOrEqual((LATENCY_BOUNDS_MS[upper] ?? 0) + 1e-9);
      expect(read).toBeGreaterThanOrEqual((LATENCY_BOUNDS_MS[upper - 1] ?? 0) - 1e-9);
    }),
  );
});

test("merging the counts of two routers is counting all their requests in one", () => {
  fc.assert(
    fc.property(latencies, latencies, (a, b) => {
      expect(merge(countsOf(a), countsOf(b))).toEqual(countsOf([...a, ...b]));
    }),
  );
});

test("beyond all bounds a quantile is infinite, and of nothing it is unknown", () => {
  expect(quantile(countsOf([1, 200_000]), 0.99)).toBe(Number.POSITIVE_INFINITY);
  expect(quantile(emptyCounts(), 0.99)).toBeUndefined();
});
