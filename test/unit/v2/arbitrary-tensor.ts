import fc from "fast-check";
import { allocate, elementCount, type NumericDatatype } from "../../../lib/v2/datatypes.ts";
import type { Datatype, Tensor, TensorData } from "../../../lib/v2/types.ts";

const datatypes: readonly Datatype[] = [
  "BOOL",
  "UINT8",
  "UINT16",
  "UINT32",
  "UINT64",
  "INT8",
  "INT16",
  "INT32",
  "INT64",
  "FP16",
  "FP32",
  "FP64",
  "BYTES",
];

/** Any tensor that JSON can carry too: finite numbers, no −0, text in BYTES. */
export const anyTensor: fc.Arbitrary<Tensor> = fc
  .record({
    name: fc.string({ minLength: 1, maxLength: 8 }),
    datatype: fc.constantFrom(...datatypes),
    shape: fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 4 }),
  })
  .chain(({ name, datatype, shape }) =>
    dataOf(datatype, elementCount(shape)).map((data) => ({ name, datatype, shape, data })),
  );

function dataOf(datatype: Datatype, count: number): fc.Arbitrary<TensorData> {
  const exactly = { minLength: count, maxLength: count };
  if (datatype === "BYTES") {
    return fc
      .array(fc.string({ unit: "grapheme" }), exactly)
      .map((texts) => texts.map((text) => Buffer.from(text)));
  }
  if (datatype === "BOOL") return fc.uint8Array({ ...exactly, max: 1 });
  if (datatype === "FP16") return fc.uint16Array(exactly).map((bits) => bits.map(finiteHalf));
  const size = allocate(datatype, 1).byteLength;
  return fc
    .uint8Array({ minLength: count * size, maxLength: count * size })
    .map((bytes) => finite(datatype, bytes, count));
}

function finiteHalf(bits: number): number {
  const finiteBits = (bits & 0x7c00) === 0x7c00 ? bits & 0xbfff : bits;
  return finiteBits === 0x8000 ? 0 : finiteBits;
}

function finite(datatype: NumericDatatype, bytes: Uint8Array, count: number): TensorData {
  const data = allocate(datatype, count);
  new Uint8Array(data.buffer).set(bytes);
  if (data instanceof Float32Array || data instanceof Float64Array) {
    for (const [index, value] of data.entries()) if (!Number.isFinite(value) || value === 0) data[index] = 0;
  }
  return data;
}
