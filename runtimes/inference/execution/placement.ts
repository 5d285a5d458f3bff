import type { InferenceModel } from "../../../lib/config/inference.ts";
import type { Findings } from "./examine.ts";

/**
 * A run that holds the event loop for no longer than this may go inline. Handing one to a worker costs 25 to 40 µs,
 * which is under 2 % of it; and ten models that each run this long still let a health check through in time.
 */
export const inlineLimitMilliseconds = 2;

export interface Placement {
  /** Where runs of up to `maxSize` rows go. */
  readonly usual: "inline" | "worker";
  /** Requests of more rows than this go to a worker; Infinity: none does. */
  readonly inlineRows: number;
  /** Rows that may share a run; 1: none may. */
  readonly maxSize: number;
  /** Milliseconds that a run of so many rows takes: linear through what was measured. */
  estimate(rows: number): number;
}

/** Pure. What was not measured is taken to be long. */
export function placementOf(
  model: Pick<InferenceModel, "execution" | "batching">,
  { batchable, rowMilliseconds, batchMilliseconds }: Findings,
): Placement {
  const maxSize = batchable && model.batching.enabled ? model.batching.maxSize : 1;
  const row = rowMilliseconds ?? inlineLimitMilliseconds * 2;
  const slope =
    batchMilliseconds === undefined || maxSize === 1
      ? row
      : Math.max(0, (batchMilliseconds - row) / (maxSize - 1));
  const estimate = (rows: number): number => row + Math.max(0, rows - 1) * slope;
  if (model.execution !== "Auto") {
    const inline = model.execution === "Inline";
    return {
      usual: inline ? "inline" : "worker",
      inlineRows: inline ? Number.POSITIVE_INFINITY : 0,
      maxSize,
      estimate,
    };
  }
  if (estimate(maxSize) > inlineLimitMilliseconds)
    return { usual: "worker", inlineRows: 0, maxSize, estimate };
  const inlineRows = slope === 0 ? Number.POSITIVE_INFINITY : 1 + (inlineLimitMilliseconds - row) / slope;
  return { usual: "inline", inlineRows: Math.max(maxSize, Math.floor(inlineRows)), maxSize, estimate };
}
