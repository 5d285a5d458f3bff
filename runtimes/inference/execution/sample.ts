import type { SessionMetadata, SessionTensor } from "../../../lib/onnx/session.ts";
import { allocate, elementCount } from "../../../lib/v2/datatypes.ts";

/** What dynamic dimensions other than the batch are tried with, in turn, until the model takes one. */
export const sampleSizes: readonly number[] = [1, 16, 64, 224];

/**
 * Inputs for warm-up: `rows` rows of which no two neighbours are equal; `first` shifts them, so that row i of
 * `sample(…, first)` is row 0 of `sample(…, first + i)`. Integers are 0 and 1, which suits indices as well.
 */
export function sampleInputs(
  metadata: SessionMetadata,
  rows: number,
  first: number,
  dynamicSize: number,
): SessionTensor[] {
  return metadata.inputs.map(({ datatype, shape }) => {
    const sizes = shape.map((dimension, index) =>
      dimension >= 0 ? dimension : index === 0 ? rows : dynamicSize,
    );
    const width = elementCount(sizes.slice(1));
    const count = elementCount(sizes);
    const parity = (index: number): number => (Math.floor(index / Math.max(1, width)) + first) % 2;
    if (datatype === "BYTES") {
      return {
        datatype,
        shape: sizes,
        data: Array.from({ length: count }, (_, index) => String(parity(index))),
      };
    }
    const data = allocate(datatype, count);
    for (let index = 0; index < count; index += 1) {
      const bit = parity(index);
      if (data instanceof BigInt64Array || data instanceof BigUint64Array) data[index] = BigInt(bit);
      // binary16 bits of 0.5 and 0.25.
      else if (datatype === "FP16") data[index] = bit === 0 ? 0x3800 : 0x3400;
      else if (datatype === "FP32" || datatype === "FP64")
        data[index] = ((index % width) % 7) / 7 + bit * 0.25;
      else data[index] = bit;
    }
    return { datatype, shape: sizes, data };
  });
}
