import type { RouterConfig } from "../../../lib/config/router.ts";
import type { InferResponse, Tensor } from "../../../lib/v2/types.ts";
import { halves } from "../graph/float16.ts";

export type Comparison = Pick<NonNullable<RouterConfig["mirror"]>, "compare" | "tolerance">;

/**
 * Whether the canary answered what stable did. Every output of stable's is looked for by name; one that the canary
 * does not answer, or in another type or shape, is a divergence. Outputs that only the canary answers are none.
 *
 * `Argmax`: of floating-point outputs, the position of the greatest element along the last axis, row by row; it
 * says nothing about an axis of one, which is compared by value. `Values`: |a − b| ≤ tolerance × max(1, |a|). In both,
 * integers under Argmax, booleans and bytes must be the same.
 */
export function sameAnswer(stable: InferResponse, canary: InferResponse, how: Comparison): boolean {
  return stable.outputs.every((expected) => {
    const actual = canary.outputs.find((output) => output.name === expected.name);
    return actual !== undefined && sameTensor(expected, actual, how);
  });
}

function sameTensor(expected: Tensor, actual: Tensor, how: Comparison): boolean {
  if (expected.datatype !== actual.datatype || expected.shape.join() !== actual.shape.join()) return false;
  const [a, b] = [floatsOf(expected), floatsOf(actual)];
  if (a !== undefined && b !== undefined) {
    const axis = expected.shape.at(-1) ?? 1;
    return how.compare === "Argmax" && axis > 1 ? sameArgmax(a, b, axis) : close(a, b, how.tolerance);
  }
  if (isBytes(expected) && isBytes(actual)) {
    return expected.data.every((element, i) => actual.data[i]?.equals(element) === true);
  }
  const [left, right] = [expected.data, actual.data];
  if (how.compare === "Values" && expected.datatype !== "BOOL") {
    return Array.prototype.every.call(left, (element, i) =>
      closeEnough(Number(element), Number(right[i]), how.tolerance),
    );
  }
  return Array.prototype.every.call(left, (element, i) => element === right[i]);
}

type Floats = Float16Array<ArrayBufferLike> | Float32Array | Float64Array;

function floatsOf(tensor: Tensor): Floats | undefined {
  if (tensor.datatype === "FP16") return halves(tensor);
  const { data } = tensor;
  return data instanceof Float32Array || data instanceof Float64Array ? data : undefined;
}

function isBytes(tensor: Tensor): tensor is Tensor & { readonly data: readonly Buffer[] } {
  return Array.isArray(tensor.data);
}

function sameArgmax(a: Floats, b: Floats, axis: number): boolean {
  for (let row = 0; row < a.length; row += axis) {
    if (argmax(a, row, axis) !== argmax(b, row, axis)) return false;
  }
  return true;
}

/** The first of the greatest, as numpy's; NaN is greater than any number, so that it is seen. */
function argmax(values: Floats, from: number, length: number): number {
  let best = 0;
  let greatest = values[from] ?? 0;
  for (let i = 1; i < length && !Number.isNaN(greatest); i += 1) {
    const value = values[from + i] ?? 0;
    if (value > greatest || Number.isNaN(value)) {
      greatest = value;
      best = i;
    }
  }
  // A row of NaN is no choice of its first element.
  return Number.isNaN(greatest) ? -1 - best : best;
}

function close(a: Floats, b: Floats, tolerance: number): boolean {
  for (let i = 0; i < a.length; i += 1) {
    if (!closeEnough(a[i] ?? 0, b[i] ?? 0, tolerance)) return false;
  }
  return true;
}

function closeEnough(a: number, b: number, tolerance: number): boolean {
  return Object.is(a, b) || a === b || Math.abs(a - b) <= tolerance * Math.max(1, Math.abs(a));
}
