import type { InferenceStep } from "../../../lib/config/inference.ts";
import { highest } from "../../../lib/v2/top-k.ts";
import { lastAxis, toFloat32 } from "./numbers.ts";
import { knownShape, type Step, tensorNamed } from "./step.ts";

/**
 * The k highest of the last axis, highest first, as FP32 scores and INT64 indices. Equal scores by index; NaN
 * last; no more than there are.
 */
export function topK(settings: NonNullable<InferenceStep["topK"]>): Step {
  const { input, scores: scoresName, indices: indicesName, k } = settings;
  return {
    kind: "topK",
    reads: [input],
    writes: [scoresName, indicesName],
    describe(known) {
      const from = knownShape(known, input);
      const width = from.at(-1) ?? -1;
      const shape = [...from.slice(0, -1), width === -1 ? k : Math.min(k, width)];
      return [
        { name: scoresName, datatype: "FP32", shape },
        { name: indicesName, datatype: "INT64", shape },
      ];
    },
    run(tensors) {
      const tensor = tensorNamed(tensors, "topK", input);
      const values = toFloat32("topK", tensor);
      const width = lastAxis("topK", tensor);
      const kept = Math.min(k, width);
      const rows = width === 0 ? 0 : values.length / width;
      const scores = new Float32Array(rows * kept);
      const indices = new BigInt64Array(rows * kept);
      for (let row = 0; row < rows; row += 1) {
        const best = highest(kept, width, (index) => values[row * width + index] ?? Number.NaN);
        for (const [rank, index] of best.entries()) {
          scores[row * kept + rank] = values[row * width + index] ?? 0;
          indices[row * kept + rank] = BigInt(index);
        }
      }
      const shape = [...tensor.shape.slice(0, -1), kept];
      return [
        { name: scoresName, datatype: "FP32", shape, data: scores },
        { name: indicesName, datatype: "INT64", shape, data: indices },
      ];
    },
  };
}
