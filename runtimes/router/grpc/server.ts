import { createServer, type Http2Server, type IncomingHttpHeaders, type ServerHttp2Stream } from "node:http2";
import { NaruError } from "../../../lib/errors.ts";
import { type GrpcHandler, grpcHandler, grpcServerSettings, widenWindow } from "../../../lib/grpc/server.ts";
import { encodeGrpcMessage, outcomeOf } from "../../../lib/grpc/status.ts";
import type { Logger } from "../../../lib/telemetry/logger.ts";
import type { Router } from "../router.ts";
import type { Routing, Track } from "../routing.ts";
import { GrpcExchange } from "./exchange.ts";
import { graphMethods } from "./graph-methods.ts";
import { GrpcSample } from "./sample.ts";

const SERVICE = "/inference.GRPCInferenceService/";
const MODEL_INFER = `${SERVICE}ModelInfer`;
const MODEL_STREAM_INFER = `${SERVICE}ModelStreamInfer`;

/**
 * The gRPC port: streams to a backend are passed on unparsed; a track that is a graph is answered here, message by
 * message. As over REST, questions (health, metadata, statistics) go to stable and count for nothing.
 */
export function routerGrpcServer(router: Router, log: Logger): Http2Server {
  const server = createServer({ settings: grpcServerSettings });
  server.on("session", widenWindow);
  const graphs = new WeakMap<Track, GrpcHandler>();
  const handlerOf = (routing: Routing, track: Track): GrpcHandler => {
    let handler = graphs.get(track);
    if (handler === undefined) {
      handler = grpcHandler({
        methods: graphMethods(router, routing, track),
        maxMessageBytes: routing.config.maxRequestBytes,
        bodies: router.bodies,
        requestTimeoutMilliseconds: routing.config.http.bodyTimeoutSeconds * 1000,
        onFault: (path, error) => log.error({ err: error, path }, "a graph failed"),
      });
      graphs.set(track, handler);
    }
    return handler;
  };

  server.on("stream", (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
    // A stream that breaks is a client that left: its `close` tells.
    stream.on("error", () => undefined);
    const { routing } = router;
    const path = headers[":path"] ?? "";
    if (routing === undefined) {
      refuse(stream, notReady());
      return;
    }
    const question = isQuestion(path);
    const track = question ? routing.stable : routing.pick();
    if (track.target.kind === "graph") handlerOf(routing, track).handle(stream, headers);
    else passOn(router, routing, track, question, stream, headers);
  });
  return server;
}

function isQuestion(path: string): boolean {
  if (path.startsWith("/grpc.health.v1.Health/")) return true;
  return path.startsWith(SERVICE) && path !== MODEL_INFER && path !== MODEL_STREAM_INFER;
}

function passOn(
  router: Router,
  routing: Routing,
  track: Track,
  question: boolean,
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
): void {
  if (track.target.kind !== "backend") return;
  const { backend } = track.target;
  if (backend.grpc === undefined) {
    refuse(stream, noGrpc(track.revision));
    return;
  }
  router.began();
  const unary = headers[":path"] === MODEL_INFER;
  const sample = unary && routing.mirrors(track) ? new GrpcSample(headers, router.bodies.open()) : undefined;
  new GrpcExchange(stream, headers, {
    upstream: backend.grpc,
    gate: backend.gate,
    revision: track.revision,
    timeoutMilliseconds: unary || question ? routing.config.requestTimeoutMilliseconds : undefined,
    repeatable: unary || question,
    bodies: router.bodies,
    hold: question ? undefined : routing.config.hold,
    tap: sample,
    retried: track.metrics.retried,
    ended: ({ code, milliseconds, error }) => {
      router.ended();
      if (question) return;
      track.counters.ended(milliseconds, error);
      track.metrics.ended(`grpc_${code}`, milliseconds);
      if (code === 0 && routing.canary !== undefined) sample?.submit(router.mirror, routing, routing.canary);
      else sample?.release();
    },
  }).start();
}

function refuse(stream: ServerHttp2Stream, error: NaruError): void {
  const { code, message } = outcomeOf(error);
  stream.respond(
    {
      ":status": 200,
      "content-type": "application/grpc",
      "grpc-status": String(code),
      "grpc-message": encodeGrpcMessage(message),
    },
    { endStream: true },
  );
  stream.close();
}

function notReady(): NaruError {
  return new NaruError({
    code: "RouterNotReady",
    message: "the router has no configuration in force yet",
    remedy: "try again shortly; if it lasts, look at the ModelServing's status",
    status: 503,
  });
}

function noGrpc(revision: string): NaruError {
  return new NaruError({
    code: "NoGrpc",
    message: `the revision ${revision} has no gRPC port`,
    remedy: "name the container's gRPC port in the ModelServing, or use REST",
    status: 501,
  });
}
