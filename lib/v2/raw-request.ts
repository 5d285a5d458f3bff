import { decodeRaw } from "./binary.ts";
import { elementBytes, elementCount } from "./datatypes.ts";
import { invalid, quote } from "./invalid.ts";
import type { InferRequest, TensorMetadata } from "./types.ts";

/**
 * Triton's raw binary request (binary tensor data extension, Inference-Header-Content-Length: 0): the body is the
 * model's one input and nothing else, so its type and shape are the model's, and one dimension that the model leaves
 * open follows from the size. Where it leaves two open, the first is the batch, and is one. BYTES is one element, its
 * length ahead of it. All outputs are answered as binary data.
 * @throws NaruError 400 where the model does not say enough, or the size does not fit
 */
export function rawInferRequest(body: Uint8Array, inputs: readonly TensorMetadata[]): InferRequest {
  const [input, ...more] = inputs;
  if (input === undefined || more.length > 0) {
    throw invalid(
      "InvalidRequest",
      `a raw binary request is for a model with one input; this one has ${inputs.length}`,
      "send JSON that names the tensors, with its length as Inference-Header-Content-Length",
    );
  }
  const shape = shapeOf(body, input);
  const data = decodeRaw(input.name, input.datatype, shape, body);
  return {
    inputs: [{ name: input.name, datatype: input.datatype, shape, data }],
    outputs: [],
    parameters: { binary_data_output: true },
  };
}

function shapeOf(body: Uint8Array, { name, datatype, shape }: TensorMetadata): readonly number[] {
  const open = shape.filter((length) => length < 0).length;
  const batchOfOne = open > 1 && (shape[0] ?? 0) < 0;
  const known = batchOfOne ? [1, ...shape.slice(1)] : [...shape];
  const left = known.filter((length) => length < 0).length;
  if (left === 0) return known;
  if (left > 1) {
    throw invalid(
      "InvalidRequest",
      `the shape of ${quote(name)}, ${JSON.stringify(shape)}, does not follow from a number of bytes`,
      "send JSON that names the tensor and its shape, with its length as Inference-Header-Content-Length",
    );
  }
  if (datatype === "BYTES") return known.map((length) => (length < 0 ? 1 : length));
  const step = elementBytes(datatype) * elementCount(known.filter((length) => length >= 0));
  const rows = step === 0 ? 0 : Math.floor(body.byteLength / step);
  return known.map((length) => (length < 0 ? rows : length));
}
