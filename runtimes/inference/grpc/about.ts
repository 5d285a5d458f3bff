import { NaruError } from "../../../lib/errors.ts";
import { frameHeaderBytes, sealFrame } from "../../../lib/grpc/frame.ts";
import type { MessageType } from "../../../lib/grpc/message-type.ts";
import {
  DataType,
  empty,
  InstanceKind,
  modelConfigResponse,
  modelMetadataResponse,
  modelRequest,
  modelStatisticsResponse,
  readyResponse,
  repositoryIndexRequest,
  repositoryIndexResponse,
  repositoryModelRequest,
  serverLiveResponse,
  serverMetadataResponse,
} from "../../../lib/grpc/messages.ts";
import type { GrpcMethod } from "../../../lib/grpc/server.ts";
import type { ConfigTensor, ModelConfig, ModelRepository, ServerMetadata } from "../model.ts";

export interface AboutOptions {
  readonly repository: ModelRepository;
  readonly server: ServerMetadata;
  readonly isReady: () => boolean;
}

/** Every method of GRPCInferenceService but inference: names and answers, as REST gives the same. */
export function aboutMethods({
  repository,
  server,
  isReady,
}: AboutOptions): Readonly<Record<string, GrpcMethod>> {
  const modelOf = ({ name, version }: { name: string; version: string }) =>
    repository.get(name, version === "" ? undefined : version);
  return {
    ServerLive: unary(empty, serverLiveResponse, () => ({ live: true })),
    ServerReady: unary(empty, readyResponse, () => ({ ready: isReady() })),
    ModelReady: unary(modelRequest, readyResponse, (asked) => {
      try {
        return { ready: isReady() && modelOf(asked).ready };
      } catch (error) {
        // Of a model that isn't there Triton says "not ready", and so its clients expect no error.
        if (error instanceof NaruError && (error.status === 404 || error.status === 503))
          return { ready: false };
        throw error;
      }
    }),
    ServerMetadata: unary(empty, serverMetadataResponse, () => server),
    ModelMetadata: unary(modelRequest, modelMetadataResponse, (asked) => modelOf(asked).metadata),
    ModelConfig: unary(modelRequest, modelConfigResponse, (asked) => ({
      config: configOf(modelOf(asked).config()),
    })),
    ModelStatistics: unary(modelRequest, modelStatisticsResponse, ({ name, version }) => ({
      model_stats: repository.statistics(
        name === "" ? undefined : name,
        version === "" ? undefined : version,
      ),
    })),
    RepositoryIndex: unary(repositoryIndexRequest, repositoryIndexResponse, ({ ready }) => ({
      models: repository.index().filter(({ state }) => !ready || state === "READY"),
    })),
    RepositoryModelLoad: unary(repositoryModelRequest, empty, async ({ model_name }) => {
      await repository.load(model_name);
      return {};
    }),
    RepositoryModelUnload: unary(repositoryModelRequest, empty, async ({ model_name }) => {
      await repository.unload(model_name);
      return {};
    }),
  };
}

function unary<Asked, Answer>(
  request: MessageType<never, Asked>,
  response: MessageType<Answer, unknown>,
  answer: (asked: Asked) => Answer | Promise<Answer>,
): GrpcMethod {
  return {
    async unary(message) {
      return sealFrame(response.encode(await answer(request.decode(message)), frameHeaderBytes));
    },
  };
}

/** The same configuration with protobuf's numbers in place of JSON's names. */
function configOf(config: ModelConfig) {
  const tensorOf = ({ name, data_type, dims }: ConfigTensor) => ({
    name,
    dims,
    data_type: DataType[data_type] ?? 0,
  });
  return {
    ...config,
    input: config.input.map(tensorOf),
    output: config.output.map(tensorOf),
    instance_group: config.instance_group.map(({ name, kind, count }) => ({
      name,
      kind: InstanceKind[kind] ?? 0,
      count,
    })),
  };
}
