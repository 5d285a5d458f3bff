import { invalid, quote } from "./invalid.ts";
import type { Datatype, TensorData } from "./types.ts";

/** Bytes an element, as on the wire; BYTES elements carry their own length. */
const sizes: Readonly<Record<Datatype, number>> = {
  BOOL: 1,
  UINT8: 1,
  UINT16: 2,
  UINT32: 4,
  UINT64: 8,
  INT8: 1,
  INT16: 2,
  INT32: 4,
  INT64: 8,
  FP16: 2,
  FP32: 4,
  FP64: 8,
  BYTES: 0,
};

export type NumericDatatype = Exclude<Datatype, "BYTES">;
export type NumericData = Exclude<TensorData, readonly Buffer[]>;

const constructors = {
  BOOL: Uint8Array,
  UINT8: Uint8Array,
  UINT16: Uint16Array,
  UINT32: Uint32Array,
  UINT64: BigUint64Array,
  INT8: Int8Array,
  INT16: Int16Array,
  INT32: Int32Array,
  INT64: BigInt64Array,
  FP16: Uint16Array,
  FP32: Float32Array,
  FP64: Float64Array,
} as const;

export function isDatatype(name: string): name is Datatype {
  return Object.hasOwn(sizes, name);
}

/** Throws `UnsupportedDatatype` (400) for a name that is not a datatype. */
export function parseDatatype(name: unknown, tensor: string): Datatype {
  if (typeof name === "string" && isDatatype(name)) return name;
  throw invalid(
    "UnsupportedDatatype",
    `the datatype of ${quote(tensor)} is ${typeof name === "string" ? quote(name) : "missing"}`,
    `use one of ${Object.keys(sizes).join(", ")}`,
  );
}

export function elementBytes(datatype: NumericDatatype): number {
  return sizes[datatype];
}

export function allocate(datatype: NumericDatatype, count: number): NumericData {
  return new constructors[datatype](count);
}

/** A view of `buffer`; `byteOffset` must be a multiple of the element's size. */
export function viewOf(
  datatype: NumericDatatype,
  buffer: ArrayBuffer | SharedArrayBuffer,
  byteOffset: number,
  count: number,
): NumericData {
  return new constructors[datatype](buffer as ArrayBuffer, byteOffset, count);
}

/** The element count of a shape. Dimensions are safe integers ≥ 0 already; the product may still be unsafe. */
export function elementCount(shape: readonly number[]): number {
  let count = 1;
  for (const dimension of shape) count *= dimension;
  return count;
}

export function isBytes(data: TensorData): data is readonly Buffer[] {
  return Array.isArray(data);
}

/** The memory of numeric data as bytes, without a copy. */
export function bytesOf(data: NumericData): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}
