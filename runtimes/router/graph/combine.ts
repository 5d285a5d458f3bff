import { NaruError } from "../../../lib/errors.ts";
import type { Datatype, Tensor, TensorData } from "../../../lib/v2/types.ts";
import { halves } from "./float16.ts";

export type Combination = "Mean" | "Max";

const FLOATS: readonly Datatype[] = ["FP16", "FP32", "FP64"];
const UNCOMBINED: readonly Datatype[] = ["BYTES", "BOOL"];

/** Whether tensors of a type can be combined so: a mean of integers would not be of their type. */
export function combines(combination: Combination, datatype: Datatype): boolean {
  return combination === "Mean" ? FLOATS.includes(datatype) : !UNCOMBINED.includes(datatype);
}

/**
 * One tensor from those of one name that arrived at a node: element by element the mean or the maximum. A
 * single one stays as it is. NaN in any is NaN in the result, as in numpy.
 */
export function combineTensors(tensors: readonly Tensor[], combination: Combination | undefined): Tensor {
  const first = tensors[0];
  if (first === undefined) throw new RangeError("there is no tensor to combine");
  if (tensors.length === 1) return first;
  if (combination === undefined) {
    throw invalid(
      `the tensor "${first.name}" arrives over ${tensors.length} edges`,
      "rename all but one on their edges, or lead them to a node that combines them",
    );
  }
  for (const tensor of tensors) {
    if (tensor.datatype !== first.datatype || tensor.shape.join() !== first.shape.join()) {
      throw invalid(
        `the tensor "${first.name}" arrives as ${describe(first)} and as ${describe(tensor)}`,
        "make the models that are combined answer the same type and shape",
      );
    }
  }
  if (!combines(combination, first.datatype)) {
    throw invalid(
      `${first.datatype} tensors have no ${combination}`,
      combination === "Mean" ? "combine floating-point outputs" : "combine numeric outputs",
    );
  }
  return { ...first, data: combineData(tensors, combination) };
}

function combineData(tensors: readonly Tensor[], combination: Combination): TensorData {
  const first = tensors[0]?.data;
  if (first instanceof BigInt64Array || first instanceof BigUint64Array) {
    const result = first.slice();
    for (const { data } of tensors) {
      if (!(data instanceof BigInt64Array || data instanceof BigUint64Array)) continue;
      for (let i = 0; i < result.length; i += 1) {
        const value = data[i] ?? 0n;
        if (value > (result[i] ?? 0n)) result[i] = value;
      }
    }
    return result;
  }
  const views = tensors.map((tensor) => numbersOf(tensor));
  const result = (views[0] ?? new Float32Array(0)).slice();
  if (combination === "Max") {
    for (const view of views) {
      // Math.max and not a comparison: it keeps NaN.
      for (let i = 0; i < result.length; i += 1) result[i] = Math.max(result[i] ?? 0, view[i] ?? 0);
    }
  } else {
    for (let i = 0; i < result.length; i += 1) {
      // The sum is a double, whatever the type: rounded once, at the end.
      let sum = 0;
      for (const view of views) sum += view[i] ?? 0;
      result[i] = sum / views.length;
    }
  }
  return result instanceof Float16Array ? new Uint16Array(result.buffer) : result;
}

type Numbers =
  | Exclude<TensorData, BigInt64Array | BigUint64Array | readonly Buffer[]>
  | Float16Array<ArrayBufferLike>;

function numbersOf(tensor: Tensor): Numbers {
  if (tensor.datatype === "FP16") return halves(tensor);
  const { data } = tensor;
  if (Array.isArray(data) || data instanceof BigInt64Array || data instanceof BigUint64Array) {
    throw new TypeError(`tensor "${tensor.name}" holds no numbers`);
  }
  return data as Numbers;
}

function describe(tensor: Tensor): string {
  return `${tensor.datatype} [${tensor.shape.join(", ")}]`;
}

function invalid(message: string, remedy: string): NaruError {
  return new NaruError({ code: "InvalidGraph", message, remedy });
}
