import { bool, embedded, integer, integers, mapOf, message, repeated, string } from "./message-type.ts";

/**
 * The messages of `inference.GRPCInferenceService` around inference itself, with the field numbers of the
 * protocol (see proto/inference.proto and proto/model_config.proto). Of ModelConfig, the fields that an ONNX
 * model served here can say something about; the others are absent, which reads as their default.
 */

export const empty = message({});

export const serverLiveResponse = message({ live: [1, bool] });
export const readyResponse = message({ ready: [1, bool] });

/** ModelReady, ModelMetadata, ModelConfig and ModelStatistics all ask with this. */
export const modelRequest = message({ name: [1, string], version: [2, string] });

export const serverMetadataResponse = message({
  name: [1, string],
  version: [2, string],
  extensions: [3, repeated(string)],
});

const tensorMetadata = message({ name: [1, string], datatype: [2, string], shape: [3, integers] });

export const modelMetadataResponse = message({
  name: [1, string],
  versions: [2, repeated(string)],
  platform: [3, string],
  inputs: [4, repeated(embedded(tensorMetadata))],
  outputs: [5, repeated(embedded(tensorMetadata))],
});

/** `inference.DataType` of model_config.proto. */
export const DataType: Readonly<Record<string, number>> = {
  TYPE_INVALID: 0,
  TYPE_BOOL: 1,
  TYPE_UINT8: 2,
  TYPE_UINT16: 3,
  TYPE_UINT32: 4,
  TYPE_UINT64: 5,
  TYPE_INT8: 6,
  TYPE_INT16: 7,
  TYPE_INT32: 8,
  TYPE_INT64: 9,
  TYPE_FP16: 10,
  TYPE_FP32: 11,
  TYPE_FP64: 12,
  TYPE_STRING: 13,
  TYPE_BF16: 14,
};

export const InstanceKind: Readonly<Record<string, number>> = {
  KIND_AUTO: 0,
  KIND_GPU: 1,
  KIND_CPU: 2,
  KIND_MODEL: 3,
};

const modelInput = message({
  name: [1, string],
  data_type: [2, integer],
  format: [3, integer],
  dims: [4, integers],
  optional: [8, bool],
});
const modelOutput = message({
  name: [1, string],
  data_type: [2, integer],
  dims: [3, integers],
  label_filename: [4, string],
});
const latestVersions = message({ num_versions: [1, integer] });
const specificVersions = message({ versions: [1, integers] });
const versionPolicy = message({
  latest: [1, embedded(latestVersions)],
  specific: [3, embedded(specificVersions)],
});
const dynamicBatching = message({
  preferred_batch_size: [1, integers],
  max_queue_delay_microseconds: [2, integer],
  preserve_ordering: [3, bool],
});
const instanceGroup = message({
  name: [1, string],
  count: [2, integer],
  gpus: [3, integers],
  kind: [4, integer],
});
const modelParameter = message({ string_value: [1, string] });
const transactionPolicy = message({ decoupled: [1, bool] });

export const modelConfig = message({
  name: [1, string],
  platform: [2, string],
  version_policy: [3, embedded(versionPolicy)],
  max_batch_size: [4, integer],
  input: [5, repeated(embedded(modelInput))],
  output: [6, repeated(embedded(modelOutput))],
  instance_group: [7, repeated(embedded(instanceGroup))],
  default_model_filename: [8, string],
  dynamic_batching: [11, embedded(dynamicBatching)],
  parameters: [14, mapOf(modelParameter)],
  backend: [17, string],
  model_transaction_policy: [19, embedded(transactionPolicy)],
});
export const modelConfigResponse = message({ config: [1, embedded(modelConfig)] });

const duration = message({ count: [1, integer], ns: [2, integer] });
const inferStatistics = message({
  success: [1, embedded(duration)],
  fail: [2, embedded(duration)],
  queue: [3, embedded(duration)],
  compute_input: [4, embedded(duration)],
  compute_infer: [5, embedded(duration)],
  compute_output: [6, embedded(duration)],
  cache_hit: [7, embedded(duration)],
  cache_miss: [8, embedded(duration)],
});
const batchStatistics = message({
  batch_size: [1, integer],
  compute_input: [2, embedded(duration)],
  compute_infer: [3, embedded(duration)],
  compute_output: [4, embedded(duration)],
});
const modelStatistics = message({
  name: [1, string],
  version: [2, string],
  last_inference: [3, integer],
  inference_count: [4, integer],
  execution_count: [5, integer],
  inference_stats: [6, embedded(inferStatistics)],
  batch_stats: [7, repeated(embedded(batchStatistics))],
});
export const modelStatisticsResponse = message({ model_stats: [1, repeated(embedded(modelStatistics))] });

export const repositoryIndexRequest = message({ repository_name: [1, string], ready: [2, bool] });
const modelIndex = message({
  name: [1, string],
  version: [2, string],
  state: [3, string],
  reason: [4, string],
});
export const repositoryIndexResponse = message({ models: [1, repeated(embedded(modelIndex))] });

/** Load and unload; their parameters (an inline configuration, files) are read by nobody here. */
export const repositoryModelRequest = message({ repository_name: [1, string], model_name: [2, string] });

/** `grpc.health.v1` (https://github.com/grpc/grpc/blob/master/doc/health-checking.md). */
export const HealthStatus = { UNKNOWN: 0, SERVING: 1, NOT_SERVING: 2, SERVICE_UNKNOWN: 3 } as const;
export const healthCheckRequest = message({ service: [1, string] });
export const healthCheckResponse = message({ status: [1, integer] });
