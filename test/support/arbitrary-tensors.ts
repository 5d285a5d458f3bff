import * as fc from "fast-check";
import type { Datatype, InferRequest, Tensor, TensorData } from "../../lib/v2/types.ts";

/** Random tensors of every datatype, for properties of codecs. */
const bounded = <T extends TensorData>(
  make: (values: never[]) => T,
  element: fc.Arbitrary<number | bigint>,
): ((count: number) => fc.Arbitrary<TensorData>) => {
  return (count) =>
    fc.array(element, { minLength: count, maxLength: count }).map((values) => make(values as never[]));
};

const dataOf: Readonly<Record<Datatype, (count: number) => fc.Arbitrary<TensorData>>> = {
  BOOL: bounded((v) => Uint8Array.from(v), fc.integer({ min: 0, max: 1 })),
  UINT8: bounded((v) => Uint8Array.from(v), fc.integer({ min: 0, max: 255 })),
  UINT16: bounded((v) => Uint16Array.from(v), fc.integer({ min: 0, max: 65_535 })),
  UINT32: bounded((v) => Uint32Array.from(v), fc.integer({ min: 0, max: 0xffffffff })),
  UINT64: bounded((v) => BigUint64Array.from(v), fc.bigInt({ min: 0n, max: 2n ** 64n - 1n })),
  INT8: bounded((v) => Int8Array.from(v), fc.integer({ min: -128, max: 127 })),
  INT16: bounded((v) => Int16Array.from(v), fc.integer({ min: -32_768, max: 32_767 })),
  INT32: bounded((v) => Int32Array.from(v), fc.integer()),
  INT64: bounded((v) => BigInt64Array.from(v), fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })),
  FP16: bounded((v) => Uint16Array.from(v), fc.integer({ min: 0, max: 65_535 })),
  FP32: bounded((v) => Float32Array.from(v), fc.float()),
  FP64: bounded((v) => Float64Array.from(v), fc.double()),
  BYTES: (count) =>
    fc.array(
      fc.uint8Array({ maxLength: 12 }).map((bytes) => Buffer.from(bytes)),
      { minLength: count, maxLength: count },
    ),
};

export const datatypes = Object.keys(dataOf) as Datatype[];

export const arbitraryTensor: fc.Arbitrary<Tensor> = fc
  .record({
    name: fc.string({ maxLength: 8 }),
    datatype: fc.constantFrom(...datatypes),
    shape: fc.array(fc.integer({ min: 0, max: 3 }), { maxLength: 4 }),
  })
  .chain(({ name, datatype, shape }) =>
    dataOf[datatype](shape.reduce((product, each) => product * each, 1)).map((data) => ({
      name,
      datatype,
      shape,
      data,
    })),
  );

export const arbitraryParameters = fc.dictionary(
  fc.string({ maxLength: 8 }),
  fc.oneof(fc.boolean(), fc.string({ maxLength: 8 }), fc.maxSafeInteger(), fc.double({ noNaN: true })),
  { maxKeys: 4 },
);

export const arbitraryRequest: fc.Arbitrary<InferRequest> = fc.record(
  {
    id: fc.string({ minLength: 1, maxLength: 8 }),
    inputs: fc.array(arbitraryTensor, { maxLength: 3 }),
    outputs: fc.array(
      fc.record(
        { name: fc.string({ maxLength: 8 }), classCount: fc.integer({ min: 1, max: 1000 }) },
        { requiredKeys: ["name"] },
      ),
      { maxLength: 3 },
    ),
    parameters: arbitraryParameters,
  },
  { requiredKeys: ["inputs", "outputs", "parameters"] },
);
