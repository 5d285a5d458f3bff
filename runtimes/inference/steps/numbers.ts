import { isBytes } from "../../../lib/v2/datatypes.ts";
import { fromFloat16Bits } from "../../../lib/v2/float16.ts";
import type { Tensor } from "../../../lib/v2/types.ts";
import { unfit } from "./step.ts";

/** A tensor of any number type as FP32: a view where it is that already. Throws NaruError 400 for BYTES. */
export function toFloat32(step: string, tensor: Tensor): Float32Array {
  const { data } = tensor;
  if (data instanceof Float32Array) return data;
  if (isBytes(data)) throw unfit(step, tensor.name, "is BYTES, not numbers", "send a tensor of numbers");
  if (tensor.datatype === "FP16") return Float32Array.from(data as Uint16Array, fromFloat16Bits);
  if (data instanceof BigInt64Array || data instanceof BigUint64Array) {
    const converted = new Float32Array(data.length);
    for (let index = 0; index < data.length; index += 1) converted[index] = Number(data[index]);
    return converted;
  }
  return new Float32Array(data);
}

/** Length of the last axis. Throws NaruError 400 for a scalar, which has none. */
export function lastAxis(step: string, tensor: Tensor): number {
  const length = tensor.shape.at(-1);
  if (length === undefined)
    throw unfit(step, tensor.name, "is a scalar", "give it a tensor with an axis of scores");
  return length;
}
