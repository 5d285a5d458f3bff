import { NaruError } from "../errors.ts";
import { invalid, quote } from "../v2/invalid.ts";
import type { InferRequest, RequestedOutput } from "../v2/types.ts";
import { noParameters, readParameter, writeParameters } from "./parameters.ts";
import { ProtobufReader, ProtobufWriter, tagOf, WireType } from "./protobuf.ts";
import {
  capacityFor,
  readTensorEntry,
  roomIn,
  type TensorEntry,
  tensorsOf,
  writeRawContents,
  writeTensorEntry,
} from "./tensor-entry.ts";

/** ModelInferRequest. Raw tensors are views of the message: it must not be written to afterwards. */
export interface ModelInferRequest {
  readonly modelName: string;
  /** Empty: the server chooses. */
  readonly modelVersion: string;
  readonly request: InferRequest;
}

/** Throws NaruError 400 for whatever is not a request of the protocol, its tensors included. */
export function decodeModelInferRequest(bytes: Buffer): ModelInferRequest {
  const reader = new ProtobufReader(bytes);
  let modelName = "";
  let modelVersion = "";
  let id = "";
  let parameters = noParameters;
  const entries: TensorEntry[] = [];
  const outputs: RequestedOutput[] = [];
  const raw: Buffer[] = [];
  while (!reader.done) {
    const tag = reader.tag();
    switch (tag) {
      case tagOf(1, WireType.lengthDelimited):
        modelName = reader.string();
        break;
      case tagOf(2, WireType.lengthDelimited):
        modelVersion = reader.string();
        break;
      case tagOf(3, WireType.lengthDelimited):
        id = reader.string();
        break;
      case tagOf(4, WireType.lengthDelimited):
        parameters = readParameter(reader, parameters);
        break;
      case tagOf(5, WireType.lengthDelimited):
        roomIn(entries, "inputs").push(readTensorEntry(reader.message()));
        break;
      case tagOf(6, WireType.lengthDelimited):
        roomIn(outputs, "outputs").push(readRequestedOutput(reader.message()));
        break;
      case tagOf(7, WireType.lengthDelimited):
        roomIn(raw, "raw_input_contents").push(reader.view());
        break;
      default:
        reader.skip(tag);
    }
  }
  const inputs = tensorsOf(entries, raw);
  return {
    modelName,
    modelVersion,
    request: id === "" ? { inputs, outputs, parameters } : { id, inputs, outputs, parameters },
  };
}

/** The id of a request that may be broken: for the error that answers it. Empty where none can be read. */
export function idOfModelInferRequest(bytes: Buffer): string {
  const reader = new ProtobufReader(bytes);
  let id = "";
  try {
    while (!reader.done) {
      const tag = reader.tag();
      if (tag === tagOf(3, WireType.lengthDelimited)) id = reader.string();
      else reader.skip(tag);
    }
  } catch (error) {
    if (!(error instanceof NaruError)) throw error;
  }
  return id;
}

/** `reserved` bytes are left free in front, for a gRPC frame's header. */
export function encodeModelInferRequest(call: ModelInferRequest, reserved = 0): Buffer {
  const { request } = call;
  const writer = new ProtobufWriter(capacityFor(request.inputs), reserved);
  if (call.modelName !== "") writer.string(1, call.modelName);
  if (call.modelVersion !== "") writer.string(2, call.modelVersion);
  if (request.id !== undefined && request.id !== "") writer.string(3, request.id);
  writeParameters(writer, 4, request.parameters);
  for (const tensor of request.inputs) writeTensorEntry(writer, 5, tensor);
  for (const output of request.outputs) {
    const mark = writer.open(6);
    writer.string(1, output.name);
    if (output.classCount !== undefined) writeParameters(writer, 2, { classification: output.classCount });
    writer.close(mark);
  }
  for (const tensor of request.inputs) writeRawContents(writer, 7, tensor);
  return writer.finish();
}

function readRequestedOutput(reader: ProtobufReader): RequestedOutput {
  let name = "";
  let parameters = noParameters;
  while (!reader.done) {
    const tag = reader.tag();
    if (tag === tagOf(1, WireType.lengthDelimited)) name = reader.string();
    else if (tag === tagOf(2, WireType.lengthDelimited)) parameters = readParameter(reader, parameters);
    else reader.skip(tag);
  }
  const { classification } = parameters;
  if (classification === undefined || classification === 0) return { name };
  if (typeof classification !== "number" || !Number.isSafeInteger(classification) || classification < 0) {
    throw invalid(
      "InvalidRequest",
      `the classification of output ${quote(name)} is not a count`,
      "send the parameter classification as int64_param: how many classes",
    );
  }
  return { name, classCount: classification };
}
