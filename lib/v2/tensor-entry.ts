import { decodeRaw } from "./binary.ts";
import { parseDatatype } from "./datatypes.ts";
import { invalid, quote } from "./invalid.ts";
import { isObject, type JsonObject, readName, readShape } from "./json-body.ts";
import { decodeJsonData, holdsUnsafeInteger } from "./json-data.ts";
import type { Tensor } from "./types.ts";

/** The bytes after the JSON of a body with binary tensors, taken in the order of the entries. */
export class BinaryCursor {
  readonly #bytes: Uint8Array;
  #offset = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  take(length: number, name: string): Uint8Array {
    const end = this.#offset + length;
    if (end > this.#bytes.byteLength) {
      throw invalid(
        "TruncatedBinary",
        `${quote(name)} has binary_data_size ${length}, and ${this.#bytes.byteLength - this.#offset} bytes are left in the body`,
        "append each binary tensor to the JSON, in the order of the entries",
      );
    }
    const share = this.#bytes.subarray(this.#offset, end);
    this.#offset = end;
    return share;
  }

  finish(): void {
    const left = this.#bytes.byteLength - this.#offset;
    if (left === 0) return;
    throw invalid(
      "InvalidRequest",
      `${left} bytes are left after the last binary tensor`,
      "let the binary_data_size of the entries add up to what follows the JSON",
    );
  }
}

/** Thrown away by its only catcher, which reads the body again with exact integers. */
export class NeedsExactIntegers extends Error {}

/**
 * One entry of `inputs` (of a request) or `outputs` (of a response). Throws NaruError 400, or NeedsExactIntegers when
 * `exact` is false and a 64-bit element may have been rounded by JSON.parse.
 */
export function readTensor(
  entry: JsonObject,
  list: "inputs" | "outputs",
  binary: BinaryCursor,
  exact: boolean,
): Tensor {
  const name = readName(entry, list);
  const datatype = parseDatatype(entry.datatype, name);
  const shape = readShape(entry, name);
  const size = isObject(entry.parameters) ? entry.parameters.binary_data_size : undefined;
  const { data } = entry;
  if (size !== undefined) {
    if (!Number.isSafeInteger(size) || (size as number) < 0 || data !== undefined) {
      throw invalid(
        "InvalidRequest",
        data === undefined
          ? `the binary_data_size of ${quote(name)} is not an integer ≥ 0`
          : `${quote(name)} has both "data" and binary_data_size`,
        'send either "data" or "parameters": {"binary_data_size": BYTES}',
      );
    }
    return {
      name,
      datatype,
      shape,
      data: decodeRaw(name, datatype, shape, binary.take(size as number, name)),
    };
  }
  if (!Array.isArray(data)) {
    throw invalid(
      "InvalidRequest",
      `${quote(name)} has no "data" array`,
      'send "data": […] or binary_data_size',
    );
  }
  const wide = datatype === "INT64" || datatype === "UINT64";
  if (wide && !exact && holdsUnsafeInteger(data, shape.length)) throw new NeedsExactIntegers();
  return { name, datatype, shape, data: decodeJsonData(name, datatype, shape, data) };
}

/** The JSON and the binary part of a body. `headerLength` is Inference-Header-Content-Length. */
export function splitBody(
  body: Uint8Array,
  headerLength: number | undefined,
): { text: string; binary: BinaryCursor } {
  const buffer = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  if (headerLength === undefined) return { text: buffer.toString("utf8"), binary: new BinaryCursor(noBytes) };
  if (!Number.isSafeInteger(headerLength) || headerLength < 0 || headerLength > body.byteLength) {
    throw invalid(
      "InvalidRequest",
      `Inference-Header-Content-Length is ${headerLength}; the body has ${body.byteLength} bytes`,
      "set it to the length of the JSON part in bytes",
    );
  }
  return {
    text: buffer.toString("utf8", 0, headerLength),
    binary: new BinaryCursor(body.subarray(headerLength)),
  };
}

const noBytes = new Uint8Array(0);
