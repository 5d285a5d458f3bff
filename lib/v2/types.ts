/**
 * The Open Inference Protocol V2 (KServe's "predict protocol, version 2") as values: what REST, gRPC and the
 * binary extension all become, and all come from.
 */

/** The protocol's tensor types that can be served. BF16 and 4-bit types are refused when a model is loaded. */
export type Datatype =
  | "BOOL"
  | "UINT8"
  | "UINT16"
  | "UINT32"
  | "UINT64"
  | "INT8"
  | "INT16"
  | "INT32"
  | "INT64"
  | "FP16"
  | "FP32"
  | "FP64"
  | "BYTES";

/**
 * Row-major elements. BOOL is a Uint8Array of 0 and 1; FP16 is a Uint16Array of IEEE 754 binary16 bits;
 * BYTES is one Buffer an element.
 */
export type TensorData =
  | Uint8Array
  | Uint16Array
  | Uint32Array
  | BigUint64Array
  | Int8Array
  | Int16Array
  | Int32Array
  | BigInt64Array
  | Float32Array
  | Float64Array
  | readonly Buffer[];

export interface Tensor {
  readonly name: string;
  readonly datatype: Datatype;
  /** Every dimension ≥ 0; its product is the number of elements in `data`. */
  readonly shape: readonly number[];
  readonly data: TensorData;
}

/** What a model declares of a tensor: -1 is a dimension that each request chooses. */
export interface TensorMetadata {
  readonly name: string;
  readonly datatype: Datatype;
  readonly shape: readonly number[];
}

export type ParameterValue = string | number | boolean;
export type Parameters = Readonly<Record<string, ParameterValue>>;

export interface RequestedOutput {
  readonly name: string;
  /** > 0: answer the `classification` extension's top-k strings `value:index[:label]` in place of the tensor. */
  readonly classCount?: number;
  /** Asked for as binary, by the output itself or by the request's `binary_data_output`. */
  readonly binary?: boolean;
}

export interface InferRequest {
  readonly id?: string;
  readonly inputs: readonly Tensor[];
  /** Empty: every output of the model. */
  readonly outputs: readonly RequestedOutput[];
  readonly parameters: Parameters;
}

export interface InferResponse {
  readonly id?: string;
  readonly modelName: string;
  readonly modelVersion?: string;
  readonly outputs: readonly Tensor[];
  readonly parameters: Parameters;
}
