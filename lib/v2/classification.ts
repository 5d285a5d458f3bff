import { isBytes } from "./datatypes.ts";
import { fromFloat16Bits } from "./float16.ts";
import { invalid, quote } from "./invalid.ts";
import { highest } from "./top-k.ts";
import type { Tensor } from "./types.ts";

/**
 * Triton's classification extension: the `count` highest values of each row as BYTES `value:index[:label]`, highest
 * first, equal values by index. Tensors of two and more dimensions have a batch dimension first, [n, …] → [n, k];
 * [c] → [k]; k is no more than there are values. `labels` is one an index. Throws 400 for BYTES.
 */
export function classify(tensor: Tensor, count: number, labels?: readonly string[]): Tensor {
  const { data, shape, name, datatype } = tensor;
  if (isBytes(data)) {
    throw invalid(
      "InvalidRequest",
      `${quote(name)} is BYTES and cannot be classified`,
      "ask for it without classification",
    );
  }
  const rows = shape.length > 1 ? (shape[0] ?? 0) : 1;
  const columns = rows === 0 ? 0 : data.length / rows;
  const k = Math.min(count, columns);
  const valueAt = (index: number): number =>
    datatype === "FP16" ? fromFloat16Bits(Number(data[index])) : Number(data[index]);
  const fraction = datatype === "FP16" || datatype === "FP32" || datatype === "FP64";
  const elements: Buffer[] = [];
  for (let row = 0; row < rows; row += 1) {
    const start = row * columns;
    for (const column of highest(k, columns, (index) => valueAt(start + index))) {
      const value = fraction ? valueAt(start + column).toFixed(6) : String(data[start + column]);
      const label = labels?.[column];
      elements.push(Buffer.from(`${value}:${column}${label === undefined ? "" : `:${label}`}`));
    }
  }
  return { name, datatype: "BYTES", shape: shape.length > 1 ? [rows, k] : [k], data: elements };
}
