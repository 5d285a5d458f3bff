import type { InferRequest, InferResponse, TensorMetadata } from "../../lib/v2/types.ts";

/**
 * What REST and gRPC both call. Neither knows how a model is run; a model knows neither protocol.
 */

/**
 * The part of `AbortSignal` that inference needs. An AbortSignal fits; REST passes a lighter one, since an
 * AbortController a request costs more than the rest of the bookkeeping together.
 */
export interface CancelSignal {
  readonly aborted: boolean;
  addEventListener(type: "abort", listener: () => void): void;
  removeEventListener(type: "abort", listener: () => void): void;
}

export interface InferOptions {
  /** Aborted when the client has left: queued work is dropped, a run under way is finished and thrown away. */
  readonly signal?: CancelSignal;
  /**
   * `performance.now()` milliseconds after which the answer is `DeadlineExceeded` (504). The earliest of this, the
   * configured request timeout and the request's own `timeout` parameter (microseconds, as in Triton) counts.
   */
  readonly deadline?: number;
  readonly protocol: "rest" | "grpc";
}

export interface ModelMetadata {
  readonly name: string;
  readonly versions: readonly string[];
  /** Triton's name for an ONNX model: `onnxruntime_onnx`. */
  readonly platform: string;
  readonly inputs: readonly TensorMetadata[];
  readonly outputs: readonly TensorMetadata[];
}

export interface ConfigTensor {
  readonly name: string;
  /** `TYPE_FP32`, `TYPE_STRING` (for BYTES), … */
  readonly data_type: string;
  /** Without the batch dimension where `max_batch_size` > 0; -1 is chosen by each request. */
  readonly dims: readonly number[];
}

/** Triton's ModelConfig, the part that has a meaning here, under its own field names (JSON and protobuf alike). */
export interface ModelConfig {
  readonly name: string;
  readonly platform: string;
  readonly backend: string;
  readonly version_policy: { readonly latest: { readonly num_versions: number } };
  /** 0 where requests can't be batched. */
  readonly max_batch_size: number;
  readonly input: readonly ConfigTensor[];
  readonly output: readonly ConfigTensor[];
  readonly instance_group: readonly {
    readonly name: string;
    readonly kind: "KIND_CPU";
    readonly count: number;
  }[];
  readonly default_model_filename: string;
  readonly dynamic_batching?: {
    readonly preferred_batch_size: readonly number[];
    readonly max_queue_delay_microseconds: number;
  };
}

/** Triton's StatisticDuration: how often, and nanoseconds in all. */
export interface StatisticDuration {
  readonly count: number;
  readonly ns: number;
}

/** Triton's ModelStatistics under its own field names. */
export interface ModelStatistics {
  readonly name: string;
  readonly version: string;
  /** Milliseconds since 1970 of the last request; 0 when there was none. */
  readonly last_inference: number;
  /** Rows answered (a request with a batch of 4 counts 4). */
  readonly inference_count: number;
  /** Runs of the model (a dynamic batch counts 1). */
  readonly execution_count: number;
  readonly inference_stats: {
    readonly success: StatisticDuration;
    readonly fail: StatisticDuration;
    readonly queue: StatisticDuration;
    readonly compute_input: StatisticDuration;
    readonly compute_infer: StatisticDuration;
    readonly compute_output: StatisticDuration;
    readonly cache_hit: StatisticDuration;
    readonly cache_miss: StatisticDuration;
  };
  readonly batch_stats: readonly {
    readonly batch_size: number;
    readonly compute_input: StatisticDuration;
    readonly compute_infer: StatisticDuration;
    readonly compute_output: StatisticDuration;
  }[];
}

export interface ServedModel {
  readonly name: string;
  readonly version: string;
  readonly ready: boolean;
  readonly metadata: ModelMetadata;
  config(): ModelConfig;
  statistics(): ModelStatistics;
  /**
   * Validates, runs and answers. The response holds the outputs asked for, in the order asked (all of them, in the
   * model's order, when none was named), classification already applied: an output with `classCount` comes as BYTES.
   * Rejects with a NaruError only: 400 for what the client did wrong, 499 `ClientClosed`, 503 `QueueFull` or
   * `ModelNotReady`, 504 `DeadlineExceeded`, 500 `InferenceFailed` where the model itself failed.
   */
  infer(request: InferRequest, options: InferOptions): Promise<InferResponse>;
}

/** Triton's repository index entry. */
export interface RepositoryEntry {
  readonly name: string;
  readonly version: string;
  readonly state: "READY" | "LOADING" | "UNLOADING" | "UNAVAILABLE";
  /** Why it is not READY; empty when it is. */
  readonly reason: string;
}

export interface ModelRepository {
  /** Every model that should be loaded is, and none has failed. */
  readonly ready: boolean;
  /** Throws 404 `UnknownModel` / `UnknownVersion`, 503 `ModelNotReady` (+ Retry-After) while it is being loaded. */
  get(name: string, version?: string): ServedModel;
  /** Of loaded models: all of them, or the one named (404 as `get`). */
  statistics(name?: string, version?: string): readonly ModelStatistics[];
  /** Every declared model, loaded or not. */
  index(): readonly RepositoryEntry[];
  /** Resolves when it is loaded. 400 `ModelControlDisabled` unless modelControl is Explicit; only declared models. */
  load(name: string): Promise<void>;
  /** Resolves when its last request is answered and its memory is given back. Same errors as `load`. */
  unload(name: string): Promise<void>;
}

/** What `/v2` and gRPC's ServerMetadata answer. */
export interface ServerMetadata {
  readonly name: "naru";
  readonly version: string;
  readonly extensions: readonly string[];
}
