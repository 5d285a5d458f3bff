import type { InferenceStep } from "../../../lib/config/inference.ts";
import { lastAxis, toFloat32 } from "./numbers.ts";
import { knownShape, type Step, tensorNamed } from "./step.ts";

/** Scores → FP32 probabilities over the last axis; each row's highest is taken off first, so that none overflows. */
export function softmax({ input, output }: NonNullable<InferenceStep["softmax"]>): Step {
  return {
    kind: "softmax",
    reads: [input],
    writes: [output],
    describe: (known) => [{ name: output, datatype: "FP32", shape: knownShape(known, input) }],
    run(tensors) {
      const tensor = tensorNamed(tensors, "softmax", input);
      const scores = toFloat32("softmax", tensor);
      const width = lastAxis("softmax", tensor);
      const data = new Float32Array(scores.length);
      for (let start = 0; start < scores.length; start += width) {
        softmaxRow(scores.subarray(start, start + width), data.subarray(start, start + width));
      }
      return [{ name: output, datatype: "FP32", shape: tensor.shape, data }];
    },
  };
}

function softmaxRow(scores: Float32Array, probabilities: Float32Array): void {
  let highest = Number.NEGATIVE_INFINITY;
  for (const score of scores) if (score > highest) highest = score;
  let sum = 0;
  for (let index = 0; index < scores.length; index += 1) {
    const power = Math.exp((scores[index] ?? 0) - highest);
    probabilities[index] = power;
    sum += power;
  }
  for (let index = 0; index < scores.length; index += 1) {
    probabilities[index] = (probabilities[index] ?? 0) / sum;
  }
}
