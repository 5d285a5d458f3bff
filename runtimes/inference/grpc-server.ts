import type { Http2Server } from "node:http2";
import type { InferenceConfig } from "../../lib/config/inference.ts";
import { NaruError } from "../../lib/errors.ts";
import { inferenceService } from "../../lib/grpc/health-services.ts";
import { createGrpcServer, type GrpcMethod } from "../../lib/grpc/server.ts";
import type { BodyBudget } from "../../lib/http/body-budget.ts";
import { manageHttp2 } from "../../lib/http/http2-lifecycle.ts";
import type { DrainOptions, DrainReport, ServerLifecycle } from "../../lib/http/lifecycle.ts";
import type { Logger } from "../../lib/telemetry/logger.ts";
import { aboutMethods } from "./grpc/about.ts";
import { healthMethods } from "./grpc/health.ts";
import { modelInfer } from "./grpc/infer.ts";
import { OpenStreams } from "./grpc/open-streams.ts";
import { modelStreamInfer } from "./grpc/stream-infer.ts";
import type { ModelRepository, ServerMetadata } from "./model.ts";

export interface GrpcOptions {
  readonly repository: ModelRepository;
  readonly config: Pick<
    InferenceConfig,
    "revision" | "maxRequestBytes" | "requestTimeoutMilliseconds" | "http"
  >;
  readonly server: ServerMetadata;
  readonly bodies: BodyBudget;
  /** Takes new requests: false while models are loaded and while the server drains. */
  readonly isReady: () => boolean;
  readonly log: Logger;
}

/** The Open Inference Protocol's gRPC form and gRPC's own health service. Not listening yet. */
export function createGrpc(options: GrpcOptions): {
  readonly server: Http2Server;
  readonly lifecycle: ServerLifecycle;
} {
  const { repository, config, isReady, log } = options;
  const open = new OpenStreams();
  let draining = false;
  const onFault = (path: string, error: unknown) => {
    log.error(
      { path, ...(error instanceof NaruError ? { code: error.code } : { err: error }) },
      "request failed",
    );
  };
  const settings = { repository, config };
  const streamPath = `/${inferenceService}/ModelStreamInfer`;
  const methods = new Map<string, GrpcMethod>([
    ...Object.entries(aboutMethods(options)).map(
      ([name, method]) => [`/${inferenceService}/${name}`, method] as const,
    ),
    [`/${inferenceService}/ModelInfer`, { unary: modelInfer(settings) }],
    [streamPath, { stream: modelStreamInfer(settings, open, (error) => onFault(streamPath, error)) }],
    ...healthMethods({ isReady: () => !draining && isReady(), isDraining: () => draining }),
  ]);
  const server = createGrpcServer({
    methods,
    maxMessageBytes: config.maxRequestBytes,
    bodies: options.bodies,
    requestTimeoutMilliseconds: config.http.bodyTimeoutSeconds * 1000,
    ...(config.revision === "" ? {} : { metadata: { "naru-revision": config.revision } }),
    onFault,
  });
  const lifecycle = manageHttp2(server, config.http);

  async function drain(drainOptions: DrainOptions = {}): Promise<DrainReport> {
    draining = true;
    // Streams may go on for as long as idle connections may stay; then they would be cut.
    const budget = drainOptions.budgetMilliseconds ?? config.http.drainSeconds * 1000;
    const timer = setTimeout(() => open.drain(), budget);
    try {
      return await lifecycle.drain(drainOptions);
    } finally {
      clearTimeout(timer);
    }
  }

  return {
    server,
    lifecycle: {
      get draining() {
        return lifecycle.draining;
      },
      get connections() {
        return lifecycle.connections;
      },
      get inFlight() {
        return lifecycle.inFlight;
      },
      drain,
      stop: () => lifecycle.stop(),
    },
  };
}
