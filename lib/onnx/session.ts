import { InferenceSession, Tensor as OrtTensor } from "onnxruntime-node";
import { messageOf, NaruError } from "../errors.ts";
import type { NumericData } from "../v2/datatypes.ts";
import type { Datatype, TensorMetadata } from "../v2/types.ts";
import { datatypeOf, elementTypeOf } from "./element-types.ts";
import { checkModelFile } from "./model-file.ts";

/** A tensor as a session takes and gives it: by position, strings as strings. Can be posted between threads. */
export interface SessionTensor {
  readonly datatype: Datatype;
  readonly shape: readonly number[];
  readonly data: NumericData | readonly string[];
}

export interface SessionTensorMetadata extends TensorMetadata {
  /** The symbolic name of each dynamic dimension ("N"), "" where it has none or is fixed. */
  readonly symbols: readonly string[];
}

export interface SessionMetadata {
  readonly inputs: readonly SessionTensorMetadata[];
  readonly outputs: readonly SessionTensorMetadata[];
}

/** An open model. The only place where onnxruntime is called. */
export interface OnnxSession {
  readonly metadata: SessionMetadata;
  /**
   * `inputs` in the model's order; answers the named outputs in the order named. Holds the thread's event loop while
   * the model runs. Rejects with onnxruntime's own error.
   */
  run(inputs: readonly SessionTensor[], outputs: readonly string[]): Promise<SessionTensor[]>;
  release(): Promise<void>;
}

/**
 * `threads`: intra-op threads of the session.
 *
 * @throws NaruError InvalidModel, UnsupportedTensor
 */
export async function openSession(path: string, threads: number): Promise<OnnxSession> {
  await checkModelFile(path);
  let session: InferenceSession;
  try {
    session = await InferenceSession.create(path, {
      intraOpNumThreads: threads,
      interOpNumThreads: 1,
      // Its own log quotes values of the inputs.
      logSeverityLevel: 4,
    });
  } catch (thrown) {
    throw new NaruError({
      code: "InvalidModel",
      message: `onnxruntime cannot load ${path}: ${messageOf(thrown)}`,
      remedy: "Export the model again for this onnxruntime, with external data files beside it.",
      cause: thrown,
    });
  }
  const metadata = {
    inputs: session.inputMetadata.map((value) => describe(path, value)),
    outputs: session.outputMetadata.map((value) => describe(path, value)),
  };
  return {
    metadata,
    async run(inputs, outputs) {
      const feeds: Record<string, OrtTensor> = {};
      for (const [index, input] of inputs.entries()) {
        const name = session.inputNames[index];
        if (name !== undefined) feeds[name] = toOrt(input);
      }
      const results = await session.run(feeds, outputs);
      return outputs.map((name) => fromOrt(name, results[name]));
    },
    release: () => session.release(),
  };
}

function describe(path: string, value: InferenceSession.ValueMetadata): SessionTensorMetadata {
  const datatype = value.isTensor ? datatypeOf(value.type) : undefined;
  if (!value.isTensor || datatype === undefined) {
    throw new NaruError({
      code: "UnsupportedTensor",
      message: `${path}: ${JSON.stringify(value.name)} is ${value.isTensor ? `a tensor of ${value.type}` : "not a tensor"}`,
      remedy:
        "Export the model with tensors of FP32, FP16, FP64, BOOL, strings or 8- to 64-bit integers only.",
    });
  }
  return {
    name: value.name,
    datatype,
    shape: value.shape.map((dimension) => (typeof dimension === "number" ? dimension : -1)),
    symbols: value.shape.map((dimension) => (typeof dimension === "string" ? dimension : "")),
  };
}

function toOrt(tensor: SessionTensor): OrtTensor {
  if (tensor.datatype === "FP16") {
    // The constructor turns the bits into a Float16Array where there is one, which the native side cannot read.
    const { data, shape } = tensor;
    return { type: "float16", data, dims: shape, location: "cpu" } as unknown as OrtTensor;
  }
  return new OrtTensor(
    elementTypeOf(tensor.datatype) as "float32",
    tensor.data as Float32Array,
    tensor.shape,
  );
}

function fromOrt(name: string, tensor: OrtTensor | undefined): SessionTensor {
  const datatype = tensor === undefined ? undefined : datatypeOf(tensor.type);
  if (tensor === undefined || datatype === undefined) throw new Error(`the model gave no tensor ${name}`);
  const { data } = tensor;
  if (datatype === "FP16") {
    const { buffer, byteOffset, length } = data as Uint16Array<ArrayBuffer>;
    return { datatype, shape: tensor.dims, data: new Uint16Array(buffer, byteOffset, length) };
  }
  return { datatype, shape: tensor.dims, data: data as NumericData | string[] };
}
