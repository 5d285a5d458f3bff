import { encodeRaw } from "./binary.ts";
import { invalid, quote } from "./invalid.ts";
import {
  type JsonObject,
  parseObject,
  readList,
  readName,
  readOptionalString,
  readParameters,
} from "./json-body.ts";
import { encodeJsonData } from "./json-data.ts";
import { NeedsExactIntegers, readTensor, splitBody } from "./tensor-entry.ts";
import type { InferRequest, Parameters, RequestedOutput, Tensor } from "./types.ts";

/** A body ready to send. `headerLength` goes into Inference-Header-Content-Length; undefined: all of it is JSON. */
export interface EncodedBody {
  readonly body: Buffer;
  readonly headerLength: number | undefined;
}

/**
 * A V2 inference request's body. Throws NaruError 400 and nothing else, whatever the bytes are. Numeric tensors may
 * be views of `body`, which must not change before they have been used.
 */
export function decodeInferRequest(body: Uint8Array, headerLength?: number): InferRequest {
  const { text, binary } = splitBody(body, headerLength);
  try {
    return readRequest(parseObject(text), binary, false);
  } catch (thrown) {
    if (!(thrown instanceof NeedsExactIntegers)) throw thrown;
    return readRequest(parseObject(text, true), splitBody(body, headerLength).binary, true);
  }
}

function readRequest(
  json: JsonObject,
  binary: ReturnType<typeof splitBody>["binary"],
  exact: boolean,
): InferRequest {
  const id = readOptionalString(json, "id");
  const parameters = readParameters(json);
  const inputs = readList(json, "inputs").map((entry) => readTensor(entry, "inputs", binary, exact));
  if (inputs.length === 0) {
    throw invalid(
      "InvalidRequest",
      'the request has no "inputs"',
      'send "inputs": [{name, datatype, shape, data}]',
    );
  }
  binary.finish();
  const allBinary = readFlag(parameters, "binary_data_output");
  const outputs = readList(json, "outputs").map((entry) => readOutput(entry, allBinary));
  return { ...(id === undefined ? {} : { id }), inputs, outputs, parameters };
}

function readOutput(entry: JsonObject, allBinary: boolean): RequestedOutput {
  const name = readName(entry, "outputs");
  const parameters = readParameters(entry);
  const binary = readFlag(parameters, "binary_data", allBinary);
  const { classification } = parameters;
  if (classification === undefined) return { name, binary };
  if (!Number.isSafeInteger(classification) || (classification as number) < 0) {
    throw invalid(
      "InvalidRequest",
      `the classification of ${quote(name)} is not an integer ≥ 0`,
      'send "classification": K for the K highest values',
    );
  }
  return { name, binary, classCount: classification as number };
}

function readFlag(parameters: Parameters, name: string, otherwise = false): boolean {
  const value = parameters[name];
  if (value === undefined) return otherwise;
  if (typeof value === "boolean") return value;
  throw invalid("InvalidRequest", `${name} is not true or false`, `send "${name}": true`);
}

/** The body of a request; with `binary`, every tensor follows the JSON as raw bytes. */
export function encodeInferRequest(
  request: InferRequest,
  options: { readonly binary: boolean },
): EncodedBody {
  const raw: Uint8Array[] = [];
  const inputs = request.inputs.map((tensor) => encodeTensor(tensor, options.binary, raw));
  const outputs = request.outputs.map((output) => {
    const parameters = {
      ...(output.classCount === undefined ? {} : { classification: output.classCount }),
      ...(output.binary === undefined ? {} : { binary_data: output.binary }),
    };
    return JSON.stringify({ name: output.name, parameters });
  });
  const id = request.id === undefined ? "" : `"id":${JSON.stringify(request.id)},`;
  const parameters = `"parameters":${JSON.stringify(request.parameters)}`;
  const asked = outputs.length === 0 ? "" : `,"outputs":[${outputs.join(",")}]`;
  return joinBody(`{${id}${parameters},"inputs":[${inputs.join(",")}]${asked}}`, raw, options.binary);
}

/** One entry of `inputs` or `outputs` as JSON text; a binary one's bytes are appended to `raw`. */
export function encodeTensor(tensor: Tensor, binary: boolean, raw: Uint8Array[]): string {
  const head = `{"name":${JSON.stringify(tensor.name)},"datatype":"${tensor.datatype}","shape":[${tensor.shape.join(",")}]`;
  if (!binary) return `${head},"data":${encodeJsonData(tensor)}}`;
  const bytes = encodeRaw(tensor);
  raw.push(bytes);
  return `${head},"parameters":{"binary_data_size":${bytes.byteLength}}}`;
}

/** JSON text and what follows it, as one buffer. */
export function joinBody(text: string, raw: readonly Uint8Array[], binary: boolean): EncodedBody {
  const json = Buffer.from(text);
  if (!binary) return { body: json, headerLength: undefined };
  return { body: Buffer.concat([json, ...raw]), headerLength: json.length };
}
