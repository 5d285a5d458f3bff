import { type EncodedBody, encodeTensor, joinBody } from "./infer-request.ts";
import { invalid } from "./invalid.ts";
import { type JsonObject, parseObject, readList, readOptionalString, readParameters } from "./json-body.ts";
import { NeedsExactIntegers, readTensor, splitBody } from "./tensor-entry.ts";
import type { InferRequest, InferResponse } from "./types.ts";

/**
 * The body of an answer: text where every output is JSON, else JSON and binary. Which outputs are binary follows from
 * the request: each output's own `binary`, or `binary_data_output` where none was named.
 */
export function encodeInferResponse(
  response: InferResponse,
  asked: Pick<InferRequest, "outputs" | "parameters">,
): string | EncodedBody {
  const raw: Uint8Array[] = [];
  const allBinary = asked.parameters.binary_data_output === true;
  let anyBinary = false;
  let outputs = "";
  for (const tensor of response.outputs) {
    const wanted = asked.outputs.find((output) => output.name === tensor.name);
    const binary = wanted?.binary ?? allBinary;
    anyBinary ||= binary;
    outputs += (outputs === "" ? "" : ",") + encodeTensor(tensor, binary, raw);
  }
  let head = `{"model_name":${JSON.stringify(response.modelName)}`;
  if (response.modelVersion !== undefined)
    head += `,"model_version":${JSON.stringify(response.modelVersion)}`;
  if (response.id !== undefined) head += `,"id":${JSON.stringify(response.id)}`;
  for (const key in response.parameters) {
    if (Object.hasOwn(response.parameters, key)) {
      head += `,"parameters":${JSON.stringify(response.parameters)}`;
      break;
    }
  }
  const text = `${head},"outputs":[${outputs}]}`;
  return anyBinary ? joinBody(text, raw, true) : text;
}

/** An answer's body, of a server that is not trusted either. Throws NaruError 400 and nothing else. */
export function decodeInferResponse(body: Uint8Array, headerLength?: number): InferResponse {
  const { text, binary } = splitBody(body, headerLength);
  try {
    return readResponse(parseObject(text), binary, false);
  } catch (thrown) {
    if (!(thrown instanceof NeedsExactIntegers)) throw thrown;
    return readResponse(parseObject(text, true), splitBody(body, headerLength).binary, true);
  }
}

function readResponse(
  json: JsonObject,
  binary: ReturnType<typeof splitBody>["binary"],
  exact: boolean,
): InferResponse {
  const modelName = readOptionalString(json, "model_name");
  if (modelName === undefined) {
    throw invalid(
      "InvalidResponse",
      'the answer has no "model_name"',
      "check that the address is a V2 server's",
    );
  }
  const modelVersion = readOptionalString(json, "model_version");
  const id = readOptionalString(json, "id");
  const outputs = readList(json, "outputs").map((entry) => readTensor(entry, "outputs", binary, exact));
  binary.finish();
  return {
    modelName,
    ...(modelVersion === undefined ? {} : { modelVersion }),
    ...(id === undefined ? {} : { id }),
    outputs,
    parameters: readParameters(json),
  };
}
