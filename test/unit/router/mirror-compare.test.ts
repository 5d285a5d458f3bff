import { describe, expect, it } from "vitest";
import type { InferResponse, Tensor } from "../../../lib/v2/types.ts";
import { sameAnswer } from "../../../runtimes/router/mirror/compare.ts";

function answer(...outputs: Tensor[]): InferResponse {
  return { modelName: "m", outputs, parameters: {} };
}
function floats(shape: number[], ...values: number[]): Tensor {
  return { name: "y", datatype: "FP32", shape, data: Float32Array.from(values) };
}
const argmax = { compare: "Argmax", tolerance: 0.001 } as const;
const values = { compare: "Values", tolerance: 0.01 } as const;

describe("comparing two answers by argmax", () => {
  it("takes different scores with the same winner in every row for the same", () => {
    const a = answer(floats([2, 3], 0.1, 0.8, 0.1, 5, 1, 1));
    expect(sameAnswer(a, answer(floats([2, 3], 0, 0.4, 0.3, 9, 8, 7)), argmax)).toBe(true);
    expect(sameAnswer(a, answer(floats([2, 3], 0, 0.4, 0.3, 7, 8, 7)), argmax)).toBe(false);
  });

  it("sees NaN, another shape, another type and a missing output", () => {
    const a = answer(floats([1, 3], 1, 0, 0));
    expect(sameAnswer(a, answer(floats([1, 3], Number.NaN, Number.NaN, Number.NaN)), argmax)).toBe(false);
    expect(sameAnswer(a, answer(floats([3], 1, 0, 0)), argmax)).toBe(false);
    expect(sameAnswer(a, answer(), argmax)).toBe(false);
    const doubles: Tensor = { name: "y", datatype: "FP64", shape: [1, 3], data: Float64Array.of(1, 0, 0) };
    expect(sameAnswer(a, answer(doubles), argmax)).toBe(false);
  });

  it("compares an axis of one by value, and labels and integers exactly", () => {
    expect(sameAnswer(answer(floats([1, 1], 0.9)), answer(floats([1, 1], 0.1)), argmax)).toBe(false);
    const label = (text: string): Tensor => ({
      name: "l",
      datatype: "BYTES",
      shape: [1],
      data: [Buffer.from(text)],
    });
    expect(sameAnswer(answer(label("7")), answer(label("7")), argmax)).toBe(true);
    expect(sameAnswer(answer(label("7")), answer(label("1")), argmax)).toBe(false);
    const index = (n: bigint): Tensor => ({
      name: "i",
      datatype: "INT64",
      shape: [1],
      data: BigInt64Array.of(n),
    });
    expect(sameAnswer(answer(index(7n)), answer(index(7n)), argmax)).toBe(true);
    expect(sameAnswer(answer(index(7n)), answer(index(1n)), argmax)).toBe(false);
  });

  it("reads FP16", () => {
    const half = (...numbers: number[]): Tensor => ({
      name: "y",
      datatype: "FP16",
      shape: [numbers.length],
      data: new Uint16Array(Float16Array.from(numbers).buffer),
    });
    expect(sameAnswer(answer(half(1, -2, 0)), answer(half(2, -9, 1)), argmax)).toBe(true);
    // As bits, -2 (0xc000) would be the greatest.
    expect(sameAnswer(answer(half(1, -2, 0)), answer(half(1, 2, 0)), argmax)).toBe(false);
  });
});

describe("comparing two answers by value", () => {
  it("allows the tolerance, relative above one and absolute below", () => {
    expect(sameAnswer(answer(floats([2], 100, 0)), answer(floats([2], 100.9, 0.009)), values)).toBe(true);
    expect(sameAnswer(answer(floats([2], 100, 0)), answer(floats([2], 101.1, 0)), values)).toBe(false);
    expect(sameAnswer(answer(floats([2], 100, 0)), answer(floats([2], 100, 0.011)), values)).toBe(false);
  });

  it("takes NaN for NaN and infinity for infinity", () => {
    const odd = answer(floats([2], Number.NaN, Number.POSITIVE_INFINITY));
    expect(sameAnswer(odd, answer(floats([2], Number.NaN, Number.POSITIVE_INFINITY)), values)).toBe(true);
    expect(sameAnswer(odd, answer(floats([2], 1, Number.POSITIVE_INFINITY)), values)).toBe(false);
  });
});
