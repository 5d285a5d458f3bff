import type { InferenceModel } from "../../lib/config/inference.ts";
import type { SessionMetadata } from "../../lib/onnx/session.ts";
import type { Datatype, TensorMetadata } from "../../lib/v2/types.ts";
import type { ConfigTensor, ModelConfig, ModelMetadata } from "./model.ts";

/** Triton's name of a served ONNX model. */
const platform = "onnxruntime_onnx";

export function modelMetadata(model: InferenceModel, { inputs, outputs }: SessionMetadata): ModelMetadata {
  const plain = ({ name, datatype, shape }: TensorMetadata): TensorMetadata => ({ name, datatype, shape });
  return {
    name: model.name,
    versions: [model.version],
    platform,
    inputs: inputs.map(plain),
    outputs: outputs.map(plain),
  };
}

/** `maxBatchSize` 0: requests are not batched, and dims are whole shapes. */
export function modelConfig(
  model: InferenceModel,
  metadata: ModelMetadata,
  maxBatchSize: number,
): ModelConfig {
  const tensor = ({ name, datatype, shape }: TensorMetadata): ConfigTensor => ({
    name,
    data_type: configType(datatype),
    dims: maxBatchSize > 0 ? shape.slice(1) : shape,
  });
  return {
    name: model.name,
    platform,
    backend: "onnxruntime",
    version_policy: { latest: { num_versions: 1 } },
    max_batch_size: maxBatchSize,
    input: metadata.inputs.map(tensor),
    output: metadata.outputs.map(tensor),
    instance_group: [{ name: `${model.name}_0`, kind: "KIND_CPU", count: model.workers }],
    default_model_filename: model.path.slice(model.path.lastIndexOf("/") + 1),
    ...(maxBatchSize > 0
      ? {
          dynamic_batching: {
            preferred_batch_size: [maxBatchSize],
            max_queue_delay_microseconds: model.batching.maxDelayMicroseconds,
          },
        }
      : {}),
  };
}

function configType(datatype: Datatype): string {
  return `TYPE_${datatype === "BYTES" ? "STRING" : datatype}`;
}
