const STEPS = [1, 1.25, 1.5, 2, 2.5, 3, 4, 5, 6, 8];

/**
 * Upper bounds of latency buckets in milliseconds, 0.1 to 100,000, ten a decade: a quantile read from them is within
 * a third of the true one. Routers count in them and the operator adds the counts of routers up, so both
 * must have the same; a router's report carries its bounds and the operator refuses others.
 */
export const LATENCY_BOUNDS_MS: readonly number[] = [
  ...[0.1, 1, 10, 100, 1000, 10_000].flatMap((decade) =>
    STEPS.map((step) => Number((step * decade).toPrecision(3))),
  ),
  100_000,
];

/** Counts a bucket of LATENCY_BOUNDS_MS each, and a last one for what is beyond all bounds. */
export type LatencyCounts = number[];

export function emptyCounts(): LatencyCounts {
  return new Array<number>(LATENCY_BOUNDS_MS.length + 1).fill(0);
}

/** Counts one answer into the first bucket whose bound is not below it. */
export function record(counts: LatencyCounts, milliseconds: number): void {
  let low = 0;
  let high = LATENCY_BOUNDS_MS.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((LATENCY_BOUNDS_MS[middle] ?? Number.POSITIVE_INFINITY) < milliseconds) low = middle + 1;
    else high = middle;
  }
  counts[low] = (counts[low] ?? 0) + 1;
}

/** Sum, bucket by bucket. */
export function merge(a: readonly number[], b: readonly number[]): LatencyCounts {
  return emptyCounts().map((_, index) => (a[index] ?? 0) + (b[index] ?? 0));
}

/**
 * The q-quantile (0 < q ≤ 1) in milliseconds, linear within its bucket as Prometheus' histogram_quantile is.
 * Infinity where it is beyond all bounds: a gate must not pass on it. Undefined where nothing was counted.
 */
export function quantile(counts: readonly number[], q: number): number | undefined {
  const total = counts.reduce((sum, count) => sum + count, 0);
  if (total === 0) return undefined;
  const rank = q * total;
  let below = 0;
  for (const [index, count] of counts.entries()) {
    if (count > 0 && below + count >= rank) {
      const upper = LATENCY_BOUNDS_MS[index];
      if (upper === undefined) return Number.POSITIVE_INFINITY;
      const lower = LATENCY_BOUNDS_MS[index - 1] ?? 0;
      return lower + (upper - lower) * Math.max(0, (rank - below) / count);
    }
    below += count;
  }
  return Number.POSITIVE_INFINITY;
}
