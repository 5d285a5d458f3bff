import {
  type OnnxDimension,
  type OnnxInitializer,
  type OnnxModel,
  type OnnxNode,
  type OnnxTypeName,
  writeOnnx,
} from "./onnx-writer.ts";

/** The models that tests and benchmarks serve. Weights are pseudo-random and the same in every run. */

/** y = x, of any type. `shape` defaults to a dynamic batch of 4 elements. */
export function identityModel(type: OnnxTypeName, shape: readonly OnnxDimension[] = ["N", 4]): Uint8Array {
  return writeOnnx({
    inputs: [{ name: "x", type, shape }],
    outputs: [{ name: "y", type, shape }],
    nodes: [{ op: "Identity", inputs: ["x"], outputs: ["y"] }],
  });
}

/** sum = a + b, difference = a − b: two inputs, two outputs, a fixed shape or a dynamic batch. */
export function addSubModel(
  type: OnnxTypeName = "FP32",
  shape: readonly OnnxDimension[] = ["N", 4],
): Uint8Array {
  return writeOnnx({
    inputs: [
      { name: "a", type, shape },
      { name: "b", type, shape },
    ],
    outputs: [
      { name: "sum", type, shape },
      { name: "difference", type, shape },
    ],
    nodes: [
      { op: "Add", inputs: ["a", "b"], outputs: ["sum"] },
      { op: "Sub", inputs: ["a", "b"], outputs: ["difference"] },
    ],
  });
}

/** y = x − mean over the batch: rows depend on each other, so that batching it across requests is wrong. */
export function batchCoupledModel(): Uint8Array {
  return writeOnnx({
    inputs: [{ name: "x", type: "FP32", shape: ["N", 4] }],
    outputs: [{ name: "y", type: "FP32", shape: ["N", 4] }],
    nodes: [
      { op: "ReduceMean", inputs: ["x"], outputs: ["mean"], ints: { axes: [0], keepdims: 1 } },
      { op: "Sub", inputs: ["x", "mean"], outputs: ["y"] },
    ],
  });
}

/** y = W[index]: fails at run time when an index is out of range (0 to 9). */
export function gatherModel(): Uint8Array {
  return writeOnnx({
    inputs: [{ name: "index", type: "INT64", shape: ["N", 1] }],
    outputs: [{ name: "y", type: "FP32", shape: ["N", 1, 4] }],
    nodes: [{ op: "Gather", inputs: ["table", "index"], outputs: ["y"] }],
    initializers: [{ name: "table", shape: [10, 4], data: noise(40, 7, 1) }],
  });
}

/** A chain of fully connected layers with ReLU between them: `[256, 4096, 4096, 64]` takes milliseconds a row. */
export function gemmModel(sizes: readonly number[], batch: OnnxDimension = "N"): Uint8Array {
  const nodes: OnnxNode[] = [];
  const initializers: OnnxInitializer[] = [];
  let previous = "input";
  for (let layer = 1; layer < sizes.length; layer += 1) {
    const rows = sizes[layer - 1] ?? 0;
    const columns = sizes[layer] ?? 0;
    const last = layer === sizes.length - 1;
    initializers.push(
      { name: `w${layer}`, shape: [rows, columns], data: noise(rows * columns, layer, Math.sqrt(2 / rows)) },
      { name: `b${layer}`, shape: [columns], data: noise(columns, layer + 100, 0.1) },
    );
    const result = last ? "output" : `h${layer}`;
    nodes.push({ op: "Gemm", inputs: [previous, `w${layer}`, `b${layer}`], outputs: [result] });
    previous = result;
    if (!last) {
      nodes.push({ op: "Relu", inputs: [result], outputs: [`r${layer}`] });
      previous = `r${layer}`;
    }
  }
  return writeOnnx({
    inputs: [{ name: "input", type: "FP32", shape: [batch, sizes[0] ?? 0] }],
    outputs: [{ name: "output", type: "FP32", shape: [batch, sizes.at(-1) ?? 0] }],
    nodes,
    initializers,
  });
}

/** A small CNN of the digits example's shape: [N, 1, 8, 8] → 10 scores. */
export function smallCnnModel(): Uint8Array {
  const model: OnnxModel = {
    inputs: [{ name: "image", type: "FP32", shape: ["N", 1, 8, 8] }],
    outputs: [{ name: "scores", type: "FP32", shape: ["N", 10] }],
    nodes: [
      conv("image", "c1", "k1"),
      { op: "Relu", inputs: ["c1"], outputs: ["r1"] },
      conv("r1", "c2", "k2"),
      { op: "Relu", inputs: ["c2"], outputs: ["r2"] },
      { op: "MaxPool", inputs: ["r2"], outputs: ["p"], ints: { kernel_shape: [2, 2], strides: [2, 2] } },
      { op: "Flatten", inputs: ["p"], outputs: ["f"], ints: { axis: 1 } },
      { op: "Gemm", inputs: ["f", "w", "b"], outputs: ["scores"] },
    ],
    initializers: [
      { name: "k1", shape: [16, 1, 3, 3], data: noise(16 * 9, 1, 0.4) },
      { name: "k2", shape: [16, 16, 3, 3], data: noise(16 * 16 * 9, 2, 0.1) },
      { name: "w", shape: [256, 10], data: noise(2560, 3, 0.1) },
      { name: "b", shape: [10], data: noise(10, 4, 0.1) },
    ],
  };
  return writeOnnx(model);
}

function conv(input: string, output: string, kernel: string): OnnxNode {
  return {
    op: "Conv",
    inputs: [input, kernel],
    outputs: [output],
    ints: { kernel_shape: [3, 3], pads: [1, 1, 1, 1] },
  };
}

/** Uniform in ±scale, from mulberry32 with the given seed. */
export function noise(count: number, seed: number, scale: number): Float32Array {
  const values = new Float32Array(count);
  let state = seed >>> 0;
  for (let index = 0; index < count; index += 1) {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    values[index] = (((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 31 - 1) * scale;
  }
  return values;
}
