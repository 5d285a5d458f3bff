import { allocate, bytesOf, elementBytes, elementCount, isBytes, viewOf } from "./datatypes.ts";
import { invalid, quote } from "./invalid.ts";
import type { Datatype, Tensor, TensorData } from "./types.ts";

/**
 * Tensors as the binary extension and gRPC's raw contents carry them: little-endian, row-major; BYTES elements as a
 * 4-byte little-endian length and that many bytes. Naru runs on little-endian machines only (x64, arm64), so memory
 * and wire are the same.
 */

/**
 * `bytes` is exactly this tensor's share. Numeric data is a view of it where it lies aligned, else a copy; BYTES
 * elements are views. Throws `InvalidTensorData` (400) where length and shape disagree.
 */
export function decodeRaw(
  name: string,
  datatype: Datatype,
  shape: readonly number[],
  bytes: Uint8Array,
): TensorData {
  const count = elementCount(shape);
  if (datatype === "BYTES") return decodeBytes(name, count, bytes);
  const size = elementBytes(datatype);
  if (bytes.byteLength !== count * size) {
    throw invalid(
      "InvalidTensorData",
      `${quote(name)} has ${bytes.byteLength} bytes of binary data; ${datatype} of shape [${shape}] takes ${count * size}`,
      "send as many bytes as the shape says, little-endian",
    );
  }
  if (datatype === "BOOL") checkBooleans(name, bytes);
  if (bytes.byteOffset % size === 0)
    return viewOf(datatype, bytes.buffer as ArrayBuffer, bytes.byteOffset, count);
  const copy = allocate(datatype, count);
  bytesOf(copy).set(bytes);
  return copy;
}

function checkBooleans(name: string, bytes: Uint8Array): void {
  for (const byte of bytes) {
    if (byte > 1) {
      throw invalid(
        "InvalidTensorData",
        `${quote(name)} is BOOL and holds the byte ${byte}`,
        "send 0 or 1 an element",
      );
    }
  }
}

function decodeBytes(name: string, count: number, bytes: Uint8Array): Buffer[] {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  // Each element takes four bytes at least, so what is allocated is bounded by what was sent.
  if (count * 4 > buffer.length) throw truncatedBytes(name, count);
  const elements: Buffer[] = new Array(count);
  let offset = 0;
  for (let index = 0; index < count; index += 1) {
    if (offset + 4 > buffer.length) throw truncatedBytes(name, count);
    const end = offset + 4 + buffer.readUInt32LE(offset);
    if (end > buffer.length) throw truncatedBytes(name, count);
    elements[index] = buffer.subarray(offset + 4, end);
    offset = end;
  }
  if (offset !== buffer.length) {
    throw invalid(
      "InvalidTensorData",
      `${quote(name)} has ${buffer.length - offset} bytes after its ${count} elements`,
      "send as many elements as the shape says, each as a 4-byte little-endian length and its bytes",
    );
  }
  return elements;
}

function truncatedBytes(name: string, count: number): Error {
  return invalid(
    "InvalidTensorData",
    `the binary data of ${quote(name)} ends before its ${count} BYTES elements do`,
    "send each element as a 4-byte little-endian length and its bytes",
  );
}

/** Numeric data as it lies in memory (no copy); BYTES with their lengths. */
export function encodeRaw(tensor: Tensor): Uint8Array {
  const { data } = tensor;
  if (!isBytes(data)) return bytesOf(data);
  let total = 0;
  for (const element of data) total += 4 + element.length;
  const bytes = Buffer.allocUnsafe(total);
  let offset = 0;
  for (const element of data) {
    offset = bytes.writeUInt32LE(element.length, offset);
    offset += element.copy(bytes, offset);
  }
  return bytes;
}
