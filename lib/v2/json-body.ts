import { messageOf } from "../errors.ts";
import { invalid, quote } from "./invalid.ts";
import type { Parameters, ParameterValue } from "./types.ts";

/** Reading the JSON of a V2 body without trusting any of it. Everything here throws `invalid` (400) only. */

export type JsonObject = Readonly<Record<string, unknown>>;

/** No model has more; a longer list is an attempt on memory. */
const maxEntries = 1024;
/** onnxruntime's tensors have fewer. */
const maxRank = 32;

export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The body's JSON object. `exactIntegers`: integers beyond 2^53 in arrays become BigInt, at several times the cost. */
export function parseObject(text: string, exactIntegers = false): JsonObject {
  let value: unknown;
  try {
    value = exactIntegers ? JSON.parse(text, keepExact) : JSON.parse(text);
  } catch (thrown) {
    // V8's message quotes the text around the mistake, which may be payload: only the position is passed on.
    const position = /position \d+/.exec(messageOf(thrown))?.[0];
    throw invalid(
      "InvalidJson",
      `the body is not JSON${position === undefined ? "" : ` (at ${position})`}`,
      "send a JSON object; with binary tensors, set Inference-Header-Content-Length to the JSON's length in bytes",
    );
  }
  if (isObject(value)) return value;
  throw invalid("InvalidRequest", "the body is not a JSON object", "send an inference request object");
}

/**
 * A JSON.parse reviver; its third argument is ECMAScript's JSON.parse source text access. Only elements of arrays
 * change: a parameter stays a number.
 */
function keepExact(this: unknown, _key: string, value: unknown, context?: { source?: string }): unknown {
  if (typeof value !== "number" || Number.isSafeInteger(value) || !Array.isArray(this)) return value;
  const source = context?.source ?? "";
  return /^-?\d{1,20}$/.test(source) ? BigInt(source) : value;
}

/** An optional array of objects. */
export function readList(parent: JsonObject, field: string): readonly JsonObject[] {
  const list = parent[field];
  if (list === undefined) return [];
  if (!Array.isArray(list) || list.length > maxEntries) {
    throw invalid(
      "InvalidRequest",
      `"${field}" is not an array of up to ${maxEntries} objects`,
      `send "${field}": [{…}]`,
    );
  }
  for (const item of list) {
    if (!isObject(item))
      throw invalid(
        "InvalidRequest",
        `"${field}" holds something that is not an object`,
        `send "${field}": [{…}]`,
      );
  }
  return list;
}

export function readName(entry: JsonObject, of: string): string {
  const name = entry.name;
  if (typeof name === "string" && name !== "") return name;
  throw invalid("InvalidRequest", `an entry of "${of}" has no name`, 'give each tensor a "name"');
}

export function readOptionalString(parent: JsonObject, field: string): string | undefined {
  const value = parent[field];
  if (value === undefined || typeof value === "string") return value;
  throw invalid("InvalidRequest", `"${field}" is not a string`, `send "${field}" as a string`);
}

export function readShape(entry: JsonObject, name: string, lowest: 0 | -1 = 0): readonly number[] {
  const shape = entry.shape;
  if (Array.isArray(shape) && shape.length <= maxRank) {
    if (shape.every((dimension) => Number.isSafeInteger(dimension) && dimension >= lowest)) return shape;
  }
  throw invalid(
    "InvalidShape",
    `the shape of ${quote(name)} is not a list of up to ${maxRank} integers ≥ ${lowest}`,
    'send "shape" as a list of dimensions, row-major',
  );
}

const noParameters: Parameters = Object.freeze({});

export function readParameters(parent: JsonObject): Parameters {
  const parameters = parent.parameters;
  if (parameters === undefined) return noParameters;
  if (!isObject(parameters))
    throw invalid("InvalidRequest", '"parameters" is not an object', 'send "parameters": {…}');
  for (const [key, value] of Object.entries(parameters)) {
    if (!isParameter(value)) {
      throw invalid(
        "InvalidRequest",
        `parameter ${quote(key)} is not a string, number or boolean`,
        "send plain values",
      );
    }
  }
  return parameters as Parameters;
}

function isParameter(value: unknown): value is ParameterValue {
  return typeof value === "string" || typeof value === "number" || typeof value === "boolean";
}
