import {
  constants,
  createServer,
  type Http2Server,
  type Http2Session,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
  type ServerHttp2Stream,
} from "node:http2";
import { NaruError } from "../errors.ts";
import type { BodyBudget, HeldBytes } from "../http/body-budget.ts";
import { CallSignal } from "./call-signal.ts";
import { acceptedEncodings, type Decompress, decompressorFor } from "./compression.ts";
import { type Frame, FrameReader } from "./frame.ts";
import { IncompleteRequests } from "./incomplete-requests.ts";
import { invalidMessage } from "./protobuf.ts";
import { encodeGrpcMessage, type GrpcOutcome, GrpcStatus, outcomeOf } from "./status.ts";
import { expand, messagesOf, type StreamWriter, writerTo } from "./stream-messages.ts";

/**
 * gRPC over `node:http2` in clear text: unary and streaming methods of bytes to bytes. Why not @grpc/grpc-js's
 * server: docs/adr/0003-grpc-stack.md. Connection age, drain and GOAWAY are lib/http's, as for any server.
 */

export interface GrpcCall {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  /** Aborted when the client cancels, or its connection breaks, before the call has ended. */
  readonly signal: CallSignal;
  /** What is held of the call's messages, until it ends. A stream's method gives back what it has answered. */
  readonly held: HeldBytes;
}

/** Takes a message, answers a sealed frame (see frame.ts). Rejects with NaruError; its status is mapped. */
export type UnaryMethod = (message: Buffer, call: GrpcCall) => Buffer | Promise<Buffer>;

/** Takes messages as they are pulled (what is not pulled stays with the client), and ends the call by returning. */
export type StreamMethod = (
  messages: AsyncIterable<Buffer>,
  writer: StreamWriter,
  call: GrpcCall,
) => Promise<void>;

export type GrpcMethod = { readonly unary: UnaryMethod } | { readonly stream: StreamMethod };

export interface GrpcServerOptions {
  /** By path: `/package.Service/Method`. */
  readonly methods: ReadonlyMap<string, GrpcMethod>;
  /** Of one message, after decompression. */
  readonly maxMessageBytes: number;
  /** Counts what is held of messages, over all calls. */
  readonly bodies: BodyBudget;
  /** A unary request must wholly be there within this time: what a client that dribbles bytes can hold is bounded. */
  readonly requestTimeoutMilliseconds: number;
  /** Sent in front of every answer. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** Told of faults of ours (INTERNAL), never of a client's. */
  readonly onFault: (path: string, error: unknown) => void;
}

/** Streams of one connection at a time; a client with more waits. */
const maxConcurrentStreams = 1000;
/** Bytes that a client may send on one stream before it is told that they were read. */
const windowBytes = 1024 * 1024;

export function createGrpcServer(options: GrpcServerOptions): Http2Server {
  const server = createServer({ settings: grpcServerSettings });
  server.on("session", widenWindow);
  const handler = grpcHandler(options);
  server.on("close", () => handler.stop());
  server.on("stream", (stream, headers) => handler.handle(stream, headers));
  return server;
}

/** HTTP/2 settings of a server that speaks gRPC. */
export const grpcServerSettings = { maxConcurrentStreams, initialWindowSize: windowBytes, enablePush: false };

/** A connection's own window starts at 64 KB whatever the settings say (RFC 9113 §6.9.2). */
export function widenWindow(session: Http2Session): void {
  session.setLocalWindowSize(4 * windowBytes);
}

export interface GrpcHandler {
  handle(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void;
  /** To be called when the server closes. */
  stop(): void;
}

/** What `createGrpcServer` does with a stream, for a server that answers only some of its streams so. */
export function grpcHandler(options: GrpcServerOptions): GrpcHandler {
  const serving: Serving = {
    ...options,
    headers: { ...okHeaders, ...options.metadata },
    incomplete: new IncompleteRequests(options.requestTimeoutMilliseconds),
  };
  return {
    handle(stream, headers) {
      stream.on("error", ignoreBrokenStream);
      serve(stream, headers, serving);
    },
    stop: () => serving.incomplete.stop(),
  };
}

interface Serving extends GrpcServerOptions {
  /** Of every answer. */
  readonly headers: OutgoingHttpHeaders;
  readonly incomplete: IncompleteRequests;
}

/** A stream that breaks is a client that left: `close` follows and says so to the call. */
function ignoreBrokenStream(): void {
  return;
}

function serve(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, serving: Serving): void {
  const contentType = headers["content-type"];
  if (
    headers[":method"] !== "POST" ||
    contentType === undefined ||
    !contentType.startsWith("application/grpc")
  ) {
    // Not gRPC: answered in HTTP's own words, as the protocol asks.
    stream.respond({ ":status": headers[":method"] === "POST" ? 415 : 405 }, { endStream: true });
    stream.close(constants.NGHTTP2_NO_ERROR);
    return;
  }
  const path = headers[":path"] ?? "";
  const method = serving.methods.get(path);
  const signal = new CallSignal();
  let decompress: Decompress | undefined;
  try {
    decompress = decompressorFor(headers["grpc-encoding"] as string | undefined);
    if (method === undefined) throw unknownMethod();
  } catch (error) {
    endWith(stream, outcomeOf(error), serving.headers);
    return;
  }
  const held = serving.bodies.open();
  const call: GrpcCall = { path, headers, signal, held };
  stream.on("close", () => {
    signal.abort();
    held.release();
  });
  if ("unary" in method) serveUnary(stream, call, method.unary, decompress, serving);
  else serveStream(stream, call, method.stream, decompress, serving);
}

function unknownMethod(): NaruError {
  return new NaruError({
    code: "UnknownGrpcMethod",
    status: 501,
    message: "the method is not implemented",
    remedy: "see docs for the services that this server has",
  });
}

function serveUnary(
  stream: ServerHttp2Stream,
  call: GrpcCall,
  method: UnaryMethod,
  decompress: Decompress | undefined,
  { headers, incomplete, maxMessageBytes, onFault }: Serving,
): void {
  const reader = new FrameReader(maxMessageBytes);
  let frame: Frame | undefined;
  let over = false;
  const fail = (error: unknown) => {
    if (over) return;
    over = true;
    incomplete.delete(stream);
    const outcome = outcomeOf(error);
    if (outcome.code === GrpcStatus.INTERNAL) onFault(call.path, error);
    endWith(stream, outcome, headers);
  };
  const succeed = (answer: Buffer) => {
    if (over || stream.destroyed) return;
    over = true;
    stream.respond(headers, { waitForTrailers: true });
    stream.end(answer);
  };
  incomplete.add(stream, fail);
  stream.on("wantTrailers", () => stream.sendTrailers(okTrailers));
  stream.on("close", () => incomplete.delete(stream));
  stream.on("data", (chunk: Buffer) => {
    if (over) return;
    try {
      call.held.grow(chunk.length);
      for (const each of reader.push(chunk)) {
        if (frame !== undefined) throw invalidMessage("a unary call has more than one");
        frame = each;
      }
    } catch (error) {
      fail(error);
    }
  });
  stream.on("end", () => {
    if (over) return;
    incomplete.delete(stream);
    if (frame === undefined) {
      fail(invalidMessage("a unary call has none, or a part of one"));
      return;
    }
    const whole = frame;
    try {
      reader.end();
      const answer = whole.compressed
        ? expand(whole, decompress, maxMessageBytes, call.held).then((message) => method(message, call))
        : method(whole.message, call);
      if (answer instanceof Promise) answer.then(succeed, fail);
      else succeed(answer);
    } catch (error) {
      fail(error);
    }
  });
}

function serveStream(
  stream: ServerHttp2Stream,
  call: GrpcCall,
  method: StreamMethod,
  decompress: Decompress | undefined,
  { headers, maxMessageBytes, onFault }: Serving,
): void {
  let outcome: GrpcOutcome = { code: GrpcStatus.OK, message: "" };
  stream.on("wantTrailers", () => {
    stream.sendTrailers(outcome.code === GrpcStatus.OK ? okTrailers : trailersOf(outcome));
    // What the client may still send is not wanted any more; a reset on the heels of trailers would overtake them.
    if (!stream.readableEnded) setImmediate(() => stream.close(constants.NGHTTP2_NO_ERROR));
  });
  stream.respond(headers, { waitForTrailers: true });
  const end = () => {
    call.held.release();
    if (stream.destroyed) return;
    stream.end();
    // Node closes no stream whose data nobody read, not even with its connection.
    stream.resume();
  };
  method(messagesOf(stream, decompress, maxMessageBytes, call.held), writerTo(stream), call).then(
    end,
    (error) => {
      // The client left: what the method made of that is nobody's fault.
      if (stream.destroyed) return;
      outcome = outcomeOf(error);
      if (outcome.code === GrpcStatus.INTERNAL) onFault(call.path, error);
      end();
    },
  );
}

const okHeaders = {
  ":status": 200,
  "content-type": "application/grpc",
  "grpc-accept-encoding": acceptedEncodings,
};
const okTrailers = { "grpc-status": "0" };

function trailersOf(outcome: GrpcOutcome): Record<string, string> {
  return { "grpc-status": String(outcome.code), "grpc-message": encodeGrpcMessage(outcome.message) };
}

/** An error before any answer: status in the headers, no body (gRPC's Trailers-Only). */
function endWith(stream: ServerHttp2Stream, outcome: GrpcOutcome, headers: OutgoingHttpHeaders): void {
  if (stream.destroyed) return;
  stream.respond({ ...headers, ...trailersOf(outcome) }, { endStream: true });
  stream.resume();
  stream.close(constants.NGHTTP2_NO_ERROR);
}
