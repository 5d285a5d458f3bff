import type { InferResponse } from "../v2/types.ts";
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

/** ModelInferResponse and, around it, ModelStreamInferResponse. Written raw, as Triton does; read either way. */

export function decodeModelInferResponse(bytes: Buffer): InferResponse {
  return readModelInferResponse(new ProtobufReader(bytes));
}

function readModelInferResponse(reader: ProtobufReader): InferResponse {
  let modelName = "";
  let modelVersion = "";
  let id = "";
  let parameters = noParameters;
  const entries: TensorEntry[] = [];
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
        roomIn(entries, "outputs").push(readTensorEntry(reader.message()));
        break;
      case tagOf(6, WireType.lengthDelimited):
        roomIn(raw, "raw_output_contents").push(reader.view());
        break;
      default:
        reader.skip(tag);
    }
  }
  return {
    ...(id === "" ? undefined : { id }),
    modelName,
    ...(modelVersion === "" ? undefined : { modelVersion }),
    outputs: tensorsOf(entries, raw),
    parameters,
  };
}

/** `reserved` bytes are left free in front, for a gRPC frame's header. */
export function encodeModelInferResponse(response: InferResponse, reserved = 0): Buffer {
  const writer = new ProtobufWriter(capacityFor(response.outputs), reserved);
  writeModelInferResponse(writer, response);
  return writer.finish();
}

function writeModelInferResponse(writer: ProtobufWriter, response: InferResponse): void {
  const { id = "", modelName, modelVersion = "" } = response;
  if (modelName !== "") writer.string(1, modelName);
  if (modelVersion !== "") writer.string(2, modelVersion);
  if (id !== "") writer.string(3, id);
  writeParameters(writer, 4, response.parameters);
  for (const tensor of response.outputs) writeTensorEntry(writer, 5, tensor);
  for (const tensor of response.outputs) writeRawContents(writer, 6, tensor);
}

export type StreamAnswer =
  | { readonly response: InferResponse }
  /** `id`: of the request that failed, as Triton sends it, so that the client knows which one it was. */
  | { readonly error: string; readonly id: string };

export function encodeModelStreamInferResponse(answer: StreamAnswer, reserved = 0): Buffer {
  const failed = "error" in answer;
  const writer = new ProtobufWriter(failed ? 256 : capacityFor(answer.response.outputs), reserved);
  if (failed) writer.string(1, answer.error);
  const mark = writer.open(2);
  if (!failed) writeModelInferResponse(writer, answer.response);
  else if (answer.id !== "") writer.string(3, answer.id);
  writer.close(mark);
  return writer.finish();
}

export function decodeModelStreamInferResponse(bytes: Buffer): StreamAnswer {
  const reader = new ProtobufReader(bytes);
  let error = "";
  let response: InferResponse | undefined;
  while (!reader.done) {
    const tag = reader.tag();
    if (tag === tagOf(1, WireType.lengthDelimited)) error = reader.string();
    else if (tag === tagOf(2, WireType.lengthDelimited)) response = readModelInferResponse(reader.message());
    else reader.skip(tag);
  }
  if (error !== "") return { error, id: response?.id ?? "" };
  return { response: response ?? { modelName: "", outputs: [], parameters: noParameters } };
}
