import type { SessionTensor } from "../../lib/onnx/session.ts";
import { allocate, bytesOf, type NumericData } from "../../lib/v2/datatypes.ts";
import type { Datatype } from "../../lib/v2/types.ts";

/** Putting requests' rows together into one run, and taking the answer apart. Pure. */

/** One tensor of all the rows, in memory of its own. Every part has the same datatype and the same shape but for its first dimension. */
export function concatenate(parts: readonly SessionTensor[]): SessionTensor {
  const [first] = parts;
  if (first === undefined) throw new RangeError("nothing to concatenate");
  let rows = 0;
  let length = 0;
  for (const part of parts) {
    rows += part.shape[0] ?? 0;
    length += part.data.length;
  }
  const shape = first.shape.length === 0 ? [] : [rows, ...first.shape.slice(1)];
  if (isText(first.data)) {
    return { datatype: first.datatype, shape, data: parts.flatMap((part) => part.data as readonly string[]) };
  }
  const data = allocate(first.datatype as Exclude<Datatype, "BYTES">, length);
  const bytes = bytesOf(data);
  let offset = 0;
  for (const part of parts) {
    const source = bytesOf(part.data as NumericData);
    bytes.set(source, offset);
    offset += source.byteLength;
  }
  return { datatype: first.datatype, shape, data };
}

/** The shares of `rows` rows each, as views. Undefined where the tensor has not as many rows as they add up to. */
export function split(tensor: SessionTensor, rows: readonly number[]): SessionTensor[] | undefined {
  const total = rows.reduce((sum, count) => sum + count, 0);
  if (tensor.shape[0] !== total) return undefined;
  const width = tensor.data.length / total;
  const rest = tensor.shape.slice(1);
  let offset = 0;
  return rows.map((count) => {
    const end = offset + count * width;
    const { data } = tensor;
    const share = isText(data) ? data.slice(offset, end) : data.subarray(offset, end);
    offset = end;
    return { datatype: tensor.datatype, shape: [count, ...rest], data: share };
  });
}

function isText(data: SessionTensor["data"]): data is readonly string[] {
  return Array.isArray(data);
}
