import { NaruError } from "../../../lib/errors.ts";
import { frameHeaderBytes, sealFrame } from "../../../lib/grpc/frame.ts";
import { refuseUnknownService } from "../../../lib/grpc/health-services.ts";
import { decodeModelInferRequest } from "../../../lib/grpc/infer-request.ts";
import {
  encodeModelInferResponse,
  encodeModelStreamInferResponse,
} from "../../../lib/grpc/infer-response.ts";
import type { MessageType } from "../../../lib/grpc/message-type.ts";
import {
  DataType,
  HealthStatus,
  healthCheckRequest,
  healthCheckResponse,
  modelConfigResponse,
  modelMetadataResponse,
  modelRequest,
  modelStatisticsResponse,
  readyResponse,
  repositoryIndexResponse,
  serverLiveResponse,
  serverMetadataResponse,
} from "../../../lib/grpc/messages.ts";
import type { GrpcCall, GrpcMethod, StreamMethod } from "../../../lib/grpc/server.ts";
import { GrpcStatus, outcomeOf } from "../../../lib/grpc/status.ts";
import { deadlineOf } from "../../../lib/http/deadline.ts";
import { requestIdOf } from "../../../lib/telemetry/logger.ts";
import type { InferResponse } from "../../../lib/v2/types.ts";
import { graphReady } from "../graph/about.ts";
import type { CheckedGraph } from "../graph/checked.ts";
import {
  isThis,
  modelConfig,
  modelMetadata,
  modelStatistics,
  refuseOther,
  serverMetadata,
} from "../graph/describe.ts";
import { inferByGraph } from "../graph/infer.ts";
import { submitGraphSample } from "../mirror/graph-sample.ts";
import type { Router } from "../router.ts";
import type { Routing, Track } from "../routing.ts";
import { isError } from "./outcome.ts";

/** V2 over gRPC as a graph answers it: inference through its nodes, and the questions about itself. */
export function graphMethods(
  router: Router,
  routing: Routing,
  track: Track,
): ReadonlyMap<string, GrpcMethod> {
  if (track.target.kind !== "graph") throw new TypeError("the track is no graph");
  const { graph } = track.target;
  const { model } = routing.config;
  const methods = new Map<string, GrpcMethod>();
  const service = (name: string, method: GrpcMethod) =>
    methods.set(`/inference.GRPCInferenceService/${name}`, method);

  service("ModelInfer", {
    unary: async (message, call) => {
      const response = await infer(router, routing, track, graph, message, call);
      return sealFrame(encodeModelInferResponse(response, frameHeaderBytes));
    },
  });
  service("ModelStreamInfer", { stream: streamOf(router, routing, track, graph) });
  service(
    "ServerLive",
    answering(serverLiveResponse, () => ({ live: true })),
  );
  service(
    "ServerReady",
    answering(readyResponse, async () => ({ ready: await graphReady(graph) })),
  );
  service("ServerMetadata", answering(serverMetadataResponse, serverMetadata));
  service("ModelReady", {
    unary: async (message) => {
      // Of a model that isn't there Triton says "not ready", and so its clients expect no error.
      const ready = isThis(modelRequest.decode(message), model) && (await graphReady(graph));
      return sealFrame(readyResponse.encode({ ready }, frameHeaderBytes));
    },
  });
  service(
    "ModelMetadata",
    aboutModel(model, modelMetadataResponse, () => modelMetadata(model, graph)),
  );
  service(
    "ModelConfig",
    aboutModel(model, modelConfigResponse, () => {
      const config = modelConfig(model, graph);
      const typed = (tensor: (typeof config.input)[number]) => ({
        ...tensor,
        data_type: DataType[tensor.data_type] ?? 0,
      });
      return {
        config: {
          ...config,
          input: config.input.map(typed),
          output: config.output.map(typed),
          instance_group: [],
        },
      };
    }),
  );
  service("ModelStatistics", {
    unary: async (message) => {
      const { name, version } = modelRequest.decode(message);
      // Without a name it asks of all models, which is this one.
      refuseOther({ name: name === "" ? model : name, version }, model);
      return sealFrame(modelStatisticsResponse.encode(modelStatistics(model, track), frameHeaderBytes));
    },
  });
  service(
    "RepositoryIndex",
    answering(repositoryIndexResponse, () => ({
      models: [{ name: model, version: "1", state: "READY", reason: "" }],
    })),
  );
  methods.set("/grpc.health.v1.Health/Check", {
    unary: async (message) => {
      refuseUnknownService(healthCheckRequest.decode(message).service);
      const status = (await graphReady(graph)) ? HealthStatus.SERVING : HealthStatus.NOT_SERVING;
      return sealFrame(healthCheckResponse.encode({ status }, frameHeaderBytes));
    },
  });
  return methods;
}

function answering<In>(type: MessageType<In, unknown>, answer: () => In | Promise<In>): GrpcMethod {
  return { unary: async () => sealFrame(type.encode(await answer(), frameHeaderBytes)) };
}

function aboutModel<In>(
  model: string,
  type: MessageType<In, unknown>,
  answer: () => In | Promise<In>,
): GrpcMethod {
  return {
    unary: async (message) => {
      refuseOther(modelRequest.decode(message), model);
      return sealFrame(type.encode(await answer(), frameHeaderBytes));
    },
  };
}

/** Requests of a stream are answered one after another, each with a response or the error that stands for it. */
function streamOf(router: Router, routing: Routing, track: Track, graph: CheckedGraph): StreamMethod {
  return async (messages, writer, call) => {
    for await (const message of messages) {
      // All that is added until the answer has gone is this message's: its nodes' answers, too.
      const others = call.held.bytes - message.length;
      let answer: Parameters<typeof encodeModelStreamInferResponse>[0];
      try {
        answer = { response: await infer(router, routing, track, graph, message, call) };
      } catch (thrown) {
        if (call.signal.aborted) throw thrown;
        answer = { error: outcomeOf(thrown).message, id: "" };
      }
      await writer.write(sealFrame(encodeModelStreamInferResponse(answer, frameHeaderBytes)));
      call.held.shrink(call.held.bytes - others);
    }
  };
}

async function infer(
  router: Router,
  routing: Routing,
  track: Track,
  graph: CheckedGraph,
  message: Buffer,
  call: GrpcCall,
): Promise<InferResponse> {
  const { config } = routing;
  const began = performance.now();
  const gone = new AbortController();
  const onAbort = (): void => gone.abort(clientClosed());
  call.signal.addEventListener("abort", onAbort);
  router.began();
  let code: number = GrpcStatus.OK;
  try {
    const { modelName, modelVersion, request } = decodeModelInferRequest(message);
    refuseOther({ name: modelName, version: modelVersion }, config.model);
    const response = await inferByGraph(request, {
      graph,
      model: config.model,
      requestId: requestIdOf(call.headers),
      deadline: deadlineOf(call.headers, config.requestTimeoutMilliseconds, began),
      maxBytes: config.maxRequestBytes,
      hold: config.hold,
      held: call.held,
      signal: gone.signal,
    });
    if (routing.mirrors(track)) submitGraphSample(router, routing, { request, response });
    return response;
  } catch (thrown) {
    code = gone.signal.aborted ? GrpcStatus.CANCELLED : outcomeOf(thrown).code;
    throw thrown;
  } finally {
    call.signal.removeEventListener("abort", onAbort);
    router.ended();
    const milliseconds = performance.now() - began;
    track.counters.ended(milliseconds, isError(code));
    track.metrics.ended(`grpc_${code}`, milliseconds);
  }
}

function clientClosed(): NaruError {
  return new NaruError({
    code: "ClientClosed",
    message: "the client left before its answer was there",
    remedy: "wait longer, or send fewer rows",
    status: 499,
  });
}
