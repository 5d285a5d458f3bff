import type { Datatype } from "../v2/types.ts";

/** onnxruntime-node's names of element types, and the protocol's. */
const datatypes: Readonly<Record<string, Datatype>> = {
  bool: "BOOL",
  uint8: "UINT8",
  uint16: "UINT16",
  uint32: "UINT32",
  uint64: "UINT64",
  int8: "INT8",
  int16: "INT16",
  int32: "INT32",
  int64: "INT64",
  float16: "FP16",
  float32: "FP32",
  float64: "FP64",
  string: "BYTES",
};

const elementTypes = Object.fromEntries(
  Object.entries(datatypes).map(([elementType, datatype]) => [datatype, elementType]),
) as Readonly<Record<Datatype, string>>;

export function datatypeOf(elementType: string): Datatype | undefined {
  return datatypes[elementType];
}

export function elementTypeOf(datatype: Datatype): string {
  return elementTypes[datatype];
}

/** TensorProto.DataType values that onnxruntime-node cannot feed or read, by the names that their users know. */
export const unsupportedElementTypes: ReadonlyMap<number, string> = new Map([
  [14, "COMPLEX64"],
  [15, "COMPLEX128"],
  [16, "BF16"],
  [17, "FLOAT8E4M3FN"],
  [18, "FLOAT8E4M3FNUZ"],
  [19, "FLOAT8E5M2"],
  [20, "FLOAT8E5M2FNUZ"],
  [21, "UINT4"],
  [22, "INT4"],
  [23, "FLOAT4E2M1"],
  [24, "FLOAT8E8M0"],
  [25, "UINT2"],
  [26, "INT2"],
]);
