import { describe, expect, test } from "vitest";
import { inferenceModel } from "../../../lib/config/inference.ts";
import { placementOf } from "../../../runtimes/inference/execution/placement.ts";

const model = (settings: object = {}) => inferenceModel.parse({ name: "m", path: "m.onnx", ...settings });
const measured = (rowMilliseconds: number, batchMilliseconds: number) => ({
  batchable: true,
  reason: "",
  rowMilliseconds,
  batchMilliseconds,
});

describe("where a model runs", () => {
  test("inline where even a full batch is short", () => {
    expect(placementOf(model(), measured(0.02, 0.12))).toMatchObject({ usual: "inline", maxSize: 32 });
  });

  test("in a worker where a full batch is long, or one row is, or nothing was measured", () => {
    expect(placementOf(model(), measured(0.5, 10)).usual).toBe("worker");
    expect(placementOf(model(), { batchable: false, reason: "", rowMilliseconds: 4 }).usual).toBe("worker");
    expect(placementOf(model(), { batchable: false, reason: "" }).usual).toBe("worker");
  });

  test("a request of so many rows that it takes long leaves the event loop of a model that is usually inline", () => {
    const { inlineRows, estimate } = placementOf(model(), measured(0.02, 0.33));
    expect(inlineRows).toBeGreaterThan(32);
    expect(inlineRows).toBeLessThan(1000);
    expect(estimate(inlineRows)).toBeLessThanOrEqual(2);
    expect(estimate(inlineRows + 2)).toBeGreaterThan(2);
  });

  test("the setting overrides what was measured", () => {
    expect(placementOf(model({ execution: "Inline" }), measured(500, 500))).toMatchObject({
      usual: "inline",
      inlineRows: Number.POSITIVE_INFINITY,
    });
    expect(placementOf(model({ execution: "Worker" }), measured(0.01, 0.01)).usual).toBe("worker");
  });

  test("rows share a run only where batching is on and was found to be safe", () => {
    expect(placementOf(model({ batching: { enabled: false } }), measured(1, 1)).maxSize).toBe(1);
    expect(placementOf(model(), { batchable: false, reason: "", rowMilliseconds: 1 }).maxSize).toBe(1);
    expect(placementOf(model({ batching: { maxSize: 8 } }), measured(1, 1)).maxSize).toBe(8);
  });
});
