import * as fc from "fast-check";
import { expect, test } from "vitest";
import { NaruError } from "../../../lib/errors.ts";
import * as messages from "../../../lib/grpc/messages.ts";
import { methodOf } from "../../support/inference-proto.ts";

const service = "inference.GRPCInferenceService";
const duration = { count: 3, ns: 1_500_000_000_000 };

const config = {
  name: "digits",
  platform: "onnxruntime_onnx",
  backend: "onnxruntime",
  version_policy: { latest: { num_versions: 1 } },
  max_batch_size: 32,
  input: [{ name: "x", data_type: 11, dims: [1, 8, 8], format: 2, optional: true }],
  output: [{ name: "y", data_type: 13, dims: [-1], label_filename: "labels.txt" }],
  instance_group: [{ name: "digits_0", kind: 2, count: 1, gpus: [] }],
  default_model_filename: "model.onnx",
  dynamic_batching: {
    preferred_batch_size: [8, 32],
    max_queue_delay_microseconds: 100,
    preserve_ordering: false,
  },
  parameters: { a: { string_value: "b" } },
  model_transaction_policy: { decoupled: false },
};

const statistics = {
  name: "digits",
  version: "2",
  last_inference: 1_795_000_000_000,
  inference_count: 12,
  execution_count: 3,
  inference_stats: { success: duration, fail: { count: 0, ns: 0 }, queue: duration, compute_infer: duration },
  batch_stats: [
    { batch_size: 4, compute_input: duration, compute_infer: duration, compute_output: duration },
  ],
};

const cases = [
  ["ServerLive", messages.empty, {}, messages.serverLiveResponse, { live: true }],
  ["ServerReady", messages.empty, {}, messages.readyResponse, { ready: true }],
  ["ModelReady", messages.modelRequest, { name: "m", version: "1" }, messages.readyResponse, { ready: true }],
  [
    "ServerMetadata",
    messages.empty,
    {},
    messages.serverMetadataResponse,
    { name: "naru", version: "0.1.0", extensions: ["statistics", "model_repository"] },
  ],
  [
    "ModelMetadata",
    messages.modelRequest,
    { name: "m", version: "" },
    messages.modelMetadataResponse,
    {
      name: "m",
      versions: ["1", "2"],
      platform: "onnxruntime_onnx",
      inputs: [{ name: "x", datatype: "FP32", shape: [-1, 1, 8, 8] }],
      outputs: [],
    },
  ],
  [
    "ModelConfig",
    messages.modelRequest,
    { name: "m", version: "1" },
    messages.modelConfigResponse,
    { config },
  ],
  [
    "ModelStatistics",
    messages.modelRequest,
    { name: "m", version: "1" },
    messages.modelStatisticsResponse,
    { model_stats: [statistics] },
  ],
  [
    "RepositoryIndex",
    messages.repositoryIndexRequest,
    { repository_name: "r", ready: true },
    messages.repositoryIndexResponse,
    { models: [{ name: "m", version: "1", state: "UNAVAILABLE", reason: "unloaded" }] },
  ],
  ["RepositoryModelLoad", messages.repositoryModelRequest, { model_name: "m" }, messages.empty, {}],
  ["RepositoryModelUnload", messages.repositoryModelRequest, { model_name: "m" }, messages.empty, {}],
] as const;

test.each(cases)(
  "%s is read by protobufjs as it was written, and the other way round",
  (name, request, asked, response, answer) => {
    const peer = methodOf(service, name);
    expect(peer.requestDeserialize(request.encode(asked))).toMatchObject(asked);
    expect(request.decode(peer.requestSerialize(asked))).toMatchObject(asked);
    expect(peer.responseDeserialize(response.encode(answer))).toMatchObject(answer);
    expect(response.decode(peer.responseSerialize(answer))).toMatchObject(answer);
  },
);

test("every enum number is the protocol's", () => {
  const peer = methodOf(service, "ModelConfig");
  for (const [name, number] of Object.entries(messages.DataType)) {
    const bytes = peer.responseSerialize({ config: { input: [{ name: "x", data_type: name }] } });
    expect(messages.modelConfigResponse.decode(bytes).config?.input[0]?.data_type).toBe(number);
  }
  for (const [name, number] of Object.entries(messages.InstanceKind)) {
    const bytes = peer.responseSerialize({ config: { instance_group: [{ kind: name }] } });
    expect(messages.modelConfigResponse.decode(bytes).config?.instance_group[0]?.kind).toBe(number);
  }
  const health = methodOf("grpc.health.v1.Health", "Check");
  for (const [name, number] of Object.entries(messages.HealthStatus)) {
    const bytes = health.responseSerialize({ status: name });
    expect(messages.healthCheckResponse.decode(bytes).status).toBe(number);
  }
});

test("unknown fields are skipped: a load request may carry files", () => {
  const peer = methodOf(service, "RepositoryModelLoad");
  const bytes = peer.requestSerialize({
    model_name: "m",
    parameters: { "file:1/model.onnx": { bytes_param: Buffer.alloc(300) }, config: { string_param: "{}" } },
  });
  expect(messages.repositoryModelRequest.decode(bytes)).toEqual({ repository_name: "", model_name: "m" });
});

test("whatever the bytes, a message is read or refused with 400", () => {
  const types = [
    messages.modelConfigResponse,
    messages.modelStatisticsResponse,
    messages.modelMetadataResponse,
    messages.repositoryIndexResponse,
    messages.healthCheckRequest,
  ];
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), fc.constantFrom(...types), (bytes, type) => {
      try {
        type.decode(Buffer.from(bytes));
      } catch (error) {
        if (!(error instanceof NaruError)) throw error;
        expect(error.status).toBe(400);
      }
    }),
    { numRuns: 2000 },
  );
});
