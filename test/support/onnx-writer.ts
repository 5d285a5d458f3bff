import { ProtobufWriter } from "./protobuf-writer.ts";

/**
 * Writes ONNX models, so that tests and benchmarks need no weight files. Field numbers are those of
 * onnx/onnx.proto (ModelProto, GraphProto, NodeProto, AttributeProto, TensorProto, ValueInfoProto).
 */

/** TensorProto.DataType. */
export const onnxType = {
  FP32: 1,
  UINT8: 2,
  INT8: 3,
  UINT16: 4,
  INT16: 5,
  INT32: 6,
  INT64: 7,
  BYTES: 8,
  BOOL: 9,
  FP16: 10,
  FP64: 11,
  UINT32: 12,
  UINT64: 13,
  BF16: 16,
  UINT4: 21,
  INT4: 22,
} as const;

export type OnnxTypeName = keyof typeof onnxType;

/** A number is a fixed dimension, a string a symbolic one ("N"). */
export type OnnxDimension = number | string;

export interface OnnxValue {
  readonly name: string;
  readonly type: OnnxTypeName;
  readonly shape: readonly OnnxDimension[];
}

export interface OnnxNode {
  readonly op: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  /** number → INT (or FLOAT under `floats`), number[] → INTS. */
  readonly ints?: Readonly<Record<string, number | readonly number[]>>;
  readonly floats?: Readonly<Record<string, number>>;
}

export interface OnnxInitializer {
  readonly name: string;
  readonly shape: readonly number[];
  readonly data: Float32Array | BigInt64Array;
  /** The data lies in this file, by the path that the model gives, and not in the model. */
  readonly external?: string;
}

export interface OnnxModel {
  readonly name?: string;
  readonly opset?: number;
  readonly inputs: readonly OnnxValue[];
  readonly outputs: readonly OnnxValue[];
  readonly nodes: readonly OnnxNode[];
  readonly initializers?: readonly OnnxInitializer[];
}

export function writeOnnx(model: OnnxModel): Uint8Array {
  const graph = new ProtobufWriter();
  for (const node of model.nodes) graph.message(1, nodeProto(node));
  graph.string(2, model.name ?? "test");
  for (const initializer of model.initializers ?? []) graph.message(5, tensorProto(initializer));
  for (const value of model.inputs) graph.message(11, valueInfoProto(value));
  for (const value of model.outputs) graph.message(12, valueInfoProto(value));
  return new ProtobufWriter()
    .varint(1, 9)
    .string(2, "naru-test")
    .message(7, graph)
    .message(8, new ProtobufWriter().string(1, "").varint(2, model.opset ?? 17))
    .finish();
}

function nodeProto(node: OnnxNode): ProtobufWriter {
  const proto = new ProtobufWriter();
  for (const input of node.inputs) proto.string(1, input);
  for (const output of node.outputs) proto.string(2, output);
  proto.string(4, node.op);
  for (const [name, value] of Object.entries(node.ints ?? {})) {
    const attribute = new ProtobufWriter().string(1, name);
    if (typeof value === "number") attribute.varint(3, value).varint(20, 2);
    else {
      for (const item of value) attribute.varint(8, item);
      attribute.varint(20, 7);
    }
    proto.message(5, attribute);
  }
  for (const [name, value] of Object.entries(node.floats ?? {})) {
    proto.message(5, new ProtobufWriter().string(1, name).float(2, value).varint(20, 1));
  }
  return proto;
}

function tensorProto(tensor: OnnxInitializer): ProtobufWriter {
  const proto = new ProtobufWriter();
  for (const dimension of tensor.shape) proto.varint(1, dimension);
  const raw = new Uint8Array(tensor.data.buffer, tensor.data.byteOffset, tensor.data.byteLength);
  proto
    .varint(2, tensor.data instanceof Float32Array ? onnxType.FP32 : onnxType.INT64)
    .string(8, tensor.name);
  if (tensor.external === undefined) return proto.bytes(9, raw);
  // TensorProto.external_data = 13, data_location = 14 (EXTERNAL).
  return proto
    .message(13, new ProtobufWriter().string(1, "location").string(2, tensor.external))
    .varint(14, 1);
}

function valueInfoProto(value: OnnxValue): ProtobufWriter {
  const shape = new ProtobufWriter();
  for (const dimension of value.shape) {
    const proto = new ProtobufWriter();
    if (typeof dimension === "number") proto.varint(1, dimension);
    else proto.string(2, dimension);
    shape.message(1, proto);
  }
  const tensor = new ProtobufWriter().varint(1, onnxType[value.type]).message(2, shape);
  return new ProtobufWriter().string(1, value.name).message(2, new ProtobufWriter().message(1, tensor));
}
