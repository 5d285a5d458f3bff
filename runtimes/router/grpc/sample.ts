import { constants, type IncomingHttpHeaders } from "node:http2";
import { NaruError } from "../../../lib/errors.ts";
import { type Decompress, decompressorFor } from "../../../lib/grpc/compression.ts";
import { FrameReader } from "../../../lib/grpc/frame.ts";
import { decodeModelInferResponse } from "../../../lib/grpc/infer-response.ts";
import type { InferResponse } from "../../../lib/v2/types.ts";
import { MAX_SAMPLE_BYTES, type Mirror } from "../mirror/mirror.ts";
import type { Routing, Track } from "../routing.ts";
import type { GrpcTap } from "./tap.ts";
import type { GrpcUpstream } from "./upstream.ts";

/** One unary inference over gRPC that stable answers, to be repeated at the canary: the same bytes, both compared. */
export class GrpcSample implements GrpcTap {
  readonly #encoding: string | undefined;
  readonly #requestChunks: Buffer[] = [];
  readonly #answerChunks: Buffer[] = [];
  #answerEncoding: string | undefined;
  #bytes = 0;

  constructor(headers: IncomingHttpHeaders) {
    this.#encoding = encodingOf(headers);
  }

  answering(headers: IncomingHttpHeaders): void {
    this.#answerEncoding = encodingOf(headers);
  }

  request(chunk: Buffer): void {
    this.#keep(this.#requestChunks, chunk);
  }

  answer(chunk: Buffer): void {
    this.#keep(this.#answerChunks, chunk);
  }

  submit(mirror: Mirror, routing: Routing, canary: Track): void {
    const { config } = routing;
    if (config.mirror === undefined || canary.target.kind !== "backend") return;
    const { grpc } = canary.target.backend;
    if (grpc === undefined) return;
    const maxBytes = config.maxRequestBytes;
    mirror.submit({
      canary,
      comparison: config.mirror,
      bytes: this.#bytes,
      timeoutMilliseconds: config.requestTimeoutMilliseconds,
      stableAnswer: () => decode(this.#answerChunks, this.#answerEncoding, maxBytes),
      canaryAnswer: (signal) => this.#ask(grpc, signal, maxBytes),
    });
  }

  #ask(upstream: GrpcUpstream, signal: AbortSignal, maxBytes: number): Promise<InferResponse> {
    const { promise, resolve, reject } = Promise.withResolvers<InferResponse>();
    const pooled = upstream.session();
    const stream = pooled.session.request({
      ":method": "POST",
      ":path": "/inference.GRPCInferenceService/ModelInfer",
      "content-type": "application/grpc",
      te: "trailers",
      ...(this.#encoding === undefined ? {} : { "grpc-encoding": this.#encoding }),
    });
    pooled.streams += 1;
    const chunks: Buffer[] = [];
    let length = 0;
    let status: unknown;
    let encoding: string | undefined;
    const onAbort = (): void => stream.close(constants.NGHTTP2_CANCEL);
    signal.addEventListener("abort", onAbort, { once: true });
    stream.on("response", (headers) => {
      status = headers["grpc-status"];
      encoding = encodingOf(headers);
    });
    stream.on("data", (chunk: Buffer) => {
      length += chunk.length;
      if (length > maxBytes) stream.close(constants.NGHTTP2_CANCEL);
      else chunks.push(chunk);
    });
    stream.on("trailers", (trailers) => {
      status = trailers["grpc-status"];
    });
    stream.on("error", reject);
    stream.on("close", () => {
      pooled.streams -= 1;
      signal.removeEventListener("abort", onAbort);
      if (status === "0" && length <= maxBytes) decode(chunks, encoding, maxBytes).then(resolve, reject);
      else reject(refused(status));
    });
    for (const chunk of this.#requestChunks) stream.write(chunk);
    stream.end();
    return promise;
  }

  #keep(chunks: Buffer[], chunk: Buffer): void {
    this.#bytes += chunk.length;
    if (this.#bytes <= MAX_SAMPLE_BYTES) chunks.push(chunk);
    else {
      this.#requestChunks.length = 0;
      this.#answerChunks.length = 0;
    }
  }
}

function encodingOf(headers: IncomingHttpHeaders): string | undefined {
  const encoding = headers["grpc-encoding"];
  return typeof encoding === "string" ? encoding : undefined;
}

/** A unary answer's only message. A backend that compresses without saying how has answered nothing. */
async function decode(
  chunks: readonly Buffer[],
  encoding: string | undefined,
  maxBytes: number,
): Promise<InferResponse> {
  const reader = new FrameReader(maxBytes);
  const [frame] = chunks.flatMap((chunk) => reader.push(chunk));
  if (frame === undefined) throw refused("no message");
  if (!frame.compressed) return decodeModelInferResponse(frame.message);
  const decompress: Decompress | undefined = decompressorFor(encoding);
  if (decompress === undefined) throw refused("compression");
  return decodeModelInferResponse(await decompress(frame.message, maxBytes));
}

function refused(status: unknown): NaruError {
  return new NaruError({
    code: "MirrorRefused",
    message: `the canary answered a mirrored call with ${String(status)}`,
    remedy: "look at the canary's log",
  });
}
