import { isUtf8 } from "node:buffer";
import { allocate, elementCount, isBytes, type NumericDatatype } from "./datatypes.ts";
import { fromFloat16Bits, toFloat16Bits } from "./float16.ts";
import { invalid, quote } from "./invalid.ts";
import type { Datatype, Tensor, TensorData } from "./types.ts";

/**
 * A tensor's `data` in JSON: row-major, flat or nested as its shape. FP16 travels as numbers, BOOL as true and false
 * (0 and 1 are taken too), BYTES as UTF-8 strings.
 */

/**
 * `data` comes from JSON.parse; integers beyond 2^53 come as BigInt (see json-body.ts). Throws
 * `InvalidTensorData` (400). What is allocated is bounded by what was sent.
 */
export function decodeJsonData(
  name: string,
  datatype: Datatype,
  shape: readonly number[],
  data: readonly unknown[],
): TensorData {
  const count = elementCount(shape);
  let flat = data;
  if (Array.isArray(data[0])) {
    const leaves: unknown[] = [];
    flatten(name, shape, 0, data, leaves);
    flat = leaves;
  }
  if (flat.length !== count) {
    throw invalid(
      "InvalidTensorData",
      `${quote(name)} has ${flat.length} elements of data; shape [${shape}] takes ${count}`,
      "send as many elements as the shape says, in row-major order",
    );
  }
  switch (datatype) {
    case "BYTES":
      return flat.map((element) => {
        if (typeof element !== "string") throw wrongElement(name, datatype, "a string");
        return Buffer.from(element);
      });
    case "BOOL":
      return Uint8Array.from(flat, (element) => {
        if (element === true || element === 1) return 1;
        if (element === false || element === 0) return 0;
        throw wrongElement(name, datatype, "true or false");
      });
    case "INT64":
      return decodeBig(name, datatype, flat, new BigInt64Array(count));
    case "UINT64":
      return decodeBig(name, datatype, flat, new BigUint64Array(count));
    case "FP16":
      return Uint16Array.from(flat, (element) => {
        if (typeof element !== "number" && typeof element !== "bigint")
          throw wrongElement(name, datatype, "a number");
        const bits = toFloat16Bits(Number(element));
        if ((bits & 0x7c00) === 0x7c00) throw wrongElement(name, datatype, "within ±65504");
        return bits;
      });
    case "FP32":
    case "FP64":
      return decodeFloats(name, datatype, flat, allocate(datatype, count) as Float32Array | Float64Array);
    default:
      return decodeIntegers(name, datatype, flat, allocate(datatype, count) as Int32Array);
  }
}

function flatten(
  name: string,
  shape: readonly number[],
  depth: number,
  data: readonly unknown[],
  leaves: unknown[],
): void {
  if (depth >= shape.length || data.length !== shape[depth]) throw wrongNesting(name, shape);
  if (depth === shape.length - 1) {
    for (const leaf of data) {
      if (Array.isArray(leaf)) throw wrongNesting(name, shape);
      leaves.push(leaf);
    }
    return;
  }
  for (const row of data) {
    if (!Array.isArray(row)) throw wrongNesting(name, shape);
    flatten(name, shape, depth + 1, row, leaves);
  }
}

function wrongNesting(name: string, shape: readonly number[]): Error {
  return invalid(
    "InvalidTensorData",
    `the nested data of ${quote(name)} does not have the shape [${shape}]`,
    "send the data flat, or nested exactly as the shape says",
  );
}

function decodeFloats<T extends Float32Array | Float64Array>(
  name: string,
  datatype: Datatype,
  flat: readonly unknown[],
  target: T,
): T {
  for (let index = 0; index < flat.length; index += 1) {
    const element = flat[index];
    if (typeof element !== "number" && typeof element !== "bigint")
      throw wrongElement(name, datatype, "a number");
    target[index] = Number(element);
    if (!Number.isFinite(target[index])) throw wrongElement(name, datatype, "within the type's range");
  }
  return target;
}

function decodeIntegers<T extends Int32Array>(
  name: string,
  datatype: NumericDatatype,
  flat: readonly unknown[],
  target: T,
): T {
  for (let index = 0; index < flat.length; index += 1) {
    const element = flat[index];
    // A BigInt, which a body with wide 64-bit integers may hold anywhere, can't even be stored in a narrower array.
    if (typeof element === "number") target[index] = element;
    // A typed array wraps and truncates; what comes back unchanged was an integer in range.
    if (target[index] !== element) throw wrongElement(name, datatype, "an integer within the type's range");
  }
  return target;
}

function decodeBig<T extends BigInt64Array | BigUint64Array>(
  name: string,
  datatype: Datatype,
  flat: readonly unknown[],
  target: T,
): T {
  for (let index = 0; index < flat.length; index += 1) {
    const element = flat[index];
    const exact = typeof element === "bigint" || Number.isSafeInteger(element);
    if (!exact) throw wrongElement(name, datatype, "an integer within the type's range");
    const value = BigInt(element as number | bigint);
    target[index] = value;
    if (target[index] !== value) throw wrongElement(name, datatype, "an integer within the type's range");
  }
  return target;
}

function wrongElement(name: string, datatype: Datatype, wanted: string): Error {
  return invalid(
    "InvalidTensorData",
    `the data of ${quote(name)} holds an element that is not ${wanted}`,
    `send ${datatype} elements, or name the datatype that the data has`,
  );
}

/**
 * JSON text of the elements, flat. FP32 and FP16 are written with as few digits as give the same float32 back
 * (0.1, not 0.10000000149011612): half the bytes, read back exactly. NaN and infinities, which JSON cannot say, are
 * null, as in JSON.stringify. Throws `NotText` (400) for BYTES that are not UTF-8.
 */
export function encodeJsonData(tensor: Tensor): string {
  const { data, datatype } = tensor;
  if (isBytes(data)) return encodeStrings(tensor.name, data);
  switch (datatype) {
    case "BOOL": {
      let text = "[";
      for (let index = 0; index < data.length; index += 1) {
        text += (index === 0 ? "" : ",") + (data[index] === 0 ? "false" : "true");
      }
      return `${text}]`;
    }
    case "FP32":
    case "FP64": {
      let text = "[";
      for (let index = 0; index < data.length; index += 1) {
        if (index !== 0) text += ",";
        const value = data[index] as number;
        text += datatype === "FP32" ? shortFloat32(value) : finiteOrNull(value);
      }
      return `${text}]`;
    }
    case "FP16":
      return `[${Array.from(data as Uint16Array, (bits) => shortFloat32(fromFloat16Bits(bits))).join(",")}]`;
    default:
      return `[${data.join(",")}]`;
  }
}

/** The decimal with 7 or 9 places that rounds to the same float32, where there is one; else the exact value. */
function shortFloat32(value: number): number | null {
  if (!Number.isFinite(value)) return null;
  const seven = Math.round(value * 1e7) / 1e7;
  if (Math.fround(seven) === value) return seven;
  const nine = Math.round(value * 1e9) / 1e9;
  if (Math.fround(nine) === value) return nine;
  return value;
}

function finiteOrNull(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}

function encodeStrings(name: string, elements: readonly Buffer[]): string {
  const texts = elements.map((element) => {
    if (!isUtf8(element)) {
      throw invalid(
        "NotText",
        `${quote(name)} holds bytes that are not UTF-8, which JSON cannot carry`,
        "ask for the output as binary data (binary_data: true)",
      );
    }
    return JSON.stringify(element.toString());
  });
  return `[${texts.join(",")}]`;
}

/**
 * Whether any element, `depth` levels down at most, is an integer that JSON.parse may have rounded, so that the text
 * must be read again.
 */
export function holdsUnsafeInteger(data: readonly unknown[], depth: number): boolean {
  for (const element of data) {
    if (typeof element === "number") {
      if (!Number.isSafeInteger(element)) return true;
    } else if (depth > 1 && Array.isArray(element) && holdsUnsafeInteger(element, depth - 1)) return true;
  }
  return false;
}
