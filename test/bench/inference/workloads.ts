import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { encodeInferRequest } from "../../../lib/v2/infer-request.ts";
import type { InferRequest } from "../../../lib/v2/types.ts";
import { gemmModel, noise } from "../../support/onnx-models.ts";

/** A model that is measured, and one request for one row of it. */
export interface Workload {
  readonly name: string;
  readonly model: Uint8Array;
  readonly input: { readonly name: string; readonly shape: readonly number[]; readonly data: Float32Array };
}

const digits = join(import.meta.dirname, "../../../examples/digits/models/v2.onnx");

/** The three models of design §7: a small CNN, a GEMM chain, and one whose single run takes 2 ms or more. */
export async function workloads(): Promise<readonly Workload[]> {
  return [
    {
      name: "cnn",
      model: await readFile(digits),
      input: { name: "input", shape: [1, 1, 8, 8], data: noise(64, 1, 1) },
    },
    gemm("gemm", [256, 1024, 1024, 64]),
    gemm("gemm-large", [256, 4096, 4096, 64]),
  ];
}

function gemm(name: string, sizes: readonly number[]): Workload {
  const width = sizes[0] ?? 1;
  return {
    name,
    model: gemmModel(sizes),
    input: { name: "input", shape: [1, width], data: noise(width, 1, 1) },
  };
}

export function v2Request({ input }: Workload): InferRequest {
  return {
    inputs: [{ name: input.name, datatype: "FP32", shape: input.shape, data: input.data }],
    outputs: [],
    parameters: {},
  };
}

export interface HttpBody {
  readonly body: Buffer;
  readonly headers: Readonly<Record<string, string>>;
}

export function jsonBody(workload: Workload): HttpBody {
  const { name, shape, data } = workload.input;
  const inputs = [{ name, datatype: "FP32", shape, data: Array.from(data) }];
  return { body: Buffer.from(JSON.stringify({ inputs })), headers: { "content-type": "application/json" } };
}

/** The binary tensor extension, with the answer asked for as binary too. */
export function binaryBody(workload: Workload): HttpBody {
  const encoded = encodeInferRequest(
    { ...v2Request(workload), parameters: { binary_data_output: true } },
    { binary: true },
  );
  return {
    body: Buffer.from(encoded.body),
    headers: {
      "content-type": "application/octet-stream",
      "inference-header-content-length": String(encoded.headerLength ?? encoded.body.length),
    },
  };
}

/** BentoML's own form: the tensor as nested lists under the name of the argument. */
export function nestedBody({ input }: Workload): HttpBody {
  let nested: unknown = Array.from(input.data);
  for (const size of input.shape.slice(1).reverse()) nested = chunk(nested as unknown[], size);
  return {
    body: Buffer.from(JSON.stringify({ x: nested })),
    headers: { "content-type": "application/json" },
  };
}

function chunk(list: readonly unknown[], size: number): unknown[] {
  const chunks: unknown[] = [];
  for (let at = 0; at < list.length; at += size) chunks.push(list.slice(at, at + size));
  return chunks;
}
