import type { Tensor } from "../../../lib/v2/types.ts";

/** FP16 travels as bits; here they are read as numbers, over the same memory. */
export function halves(tensor: Tensor): Float16Array {
  const bits = tensor.data;
  if (!(bits instanceof Uint16Array)) throw new TypeError(`tensor "${tensor.name}" is no FP16`);
  return new Float16Array(bits.buffer as ArrayBuffer, bits.byteOffset, bits.length);
}
