import { constants, type IncomingHttpHeaders } from "node:http2";
import { NaruError } from "../../../lib/errors.ts";
import { type Decompress, decompressorFor } from "../../../lib/grpc/compression.ts";
import { FrameReader } from "../../../lib/grpc/frame.ts";
import { decodeModelInferResponse } from "../../../lib/grpc/infer-response.ts";
import { type HeldBytes, serverFull } from "../../../lib/http/body-budget.ts";
import { GatheredBytes } from "../../../lib/http/gathered-bytes.ts";
import type { InferResponse } from "../../../lib/v2/types.ts";
import { MAX_SAMPLE_BYTES, type Mirror } from "../mirror/mirror.ts";
import type { Routing, Track } from "../routing.ts";
import type { GrpcTap } from "./tap.ts";
import type { GrpcUpstream } from "./upstream.ts";

/** One unary inference over gRPC that stable answers, to be repeated at the canary: the same bytes, both compared. */
export class GrpcSample implements GrpcTap {
  readonly #encoding: string | undefined;
  readonly #request = new GatheredBytes();
  readonly #answer = new GatheredBytes();
  #answerEncoding: string | undefined;
  #bytes = 0;
  readonly #held: HeldBytes;

  /** `held` counts what is kept, until `submit`'s comparison is over or `release` is called. */
  constructor(headers: IncomingHttpHeaders, held: HeldBytes) {
    this.#held = held;
    this.#encoding = encodingOf(headers);
  }

  answering(headers: IncomingHttpHeaders): void {
    this.#answerEncoding = encodingOf(headers);
  }

  request(chunk: Buffer): void {
    this.#keep(this.#request, chunk);
  }

  answer(chunk: Buffer): void {
    this.#keep(this.#answer, chunk);
  }

  submit(mirror: Mirror, routing: Routing, canary: Track): void {
    const { config } = routing;
    const grpc = canary.target.kind === "backend" ? canary.target.backend.grpc : undefined;
    if (config.mirror === undefined || grpc === undefined) {
      this.release();
      return;
    }
    const maxBytes = config.maxRequestBytes;
    mirror.submit({
      canary,
      comparison: config.mirror,
      bytes: this.#bytes,
      timeoutMilliseconds: config.requestTimeoutMilliseconds,
      stableAnswer: () => decode(this.#answer.pieces, this.#answerEncoding, maxBytes, this.#held),
      canaryAnswer: (signal) => this.#ask(grpc, signal, maxBytes),
      release: () => this.release(),
    });
  }

  release(): void {
    this.#held.release();
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
    let full = false;
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
      full ||= !this.#held.tryGrow(chunk.length);
      if (full || length > maxBytes) stream.close(constants.NGHTTP2_CANCEL);
      else chunks.push(chunk);
    });
    stream.on("trailers", (trailers) => {
      status = trailers["grpc-status"];
    });
    stream.on("error", reject);
    stream.on("close", () => {
      pooled.streams -= 1;
      signal.removeEventListener("abort", onAbort);
      if (full) reject(serverFull());
      else if (status === "0" && length <= maxBytes)
        decode(chunks, encoding, maxBytes, this.#held).then(resolve, reject);
      else reject(refused(status));
    });
    for (const piece of this.#request.pieces) stream.write(piece);
    stream.end();
    return promise;
  }

  #keep(side: GatheredBytes, chunk: Buffer): void {
    this.#bytes += chunk.length;
    if (this.#bytes > MAX_SAMPLE_BYTES) this.#forget();
    else if (this.#held.tryGrow(chunk.length)) side.push(chunk);
    else {
      // A copy is never worth a request of a client: it is dropped as one that is too large.
      this.#bytes = Number.POSITIVE_INFINITY;
      this.#forget();
    }
  }

  #forget(): void {
    this.#request.clear();
    this.#answer.clear();
    this.#held.shrink(this.#held.bytes);
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
  held: HeldBytes,
): Promise<InferResponse> {
  const reader = new FrameReader(maxBytes);
  const [frame] = chunks.flatMap((chunk) => reader.push(chunk));
  if (frame === undefined) throw refused("no message");
  if (!frame.compressed) return decodeModelInferResponse(frame.message);
  const decompress: Decompress | undefined = decompressorFor(encoding);
  if (decompress === undefined) throw refused("compression");
  return decodeModelInferResponse(await decompress(frame.message, maxBytes, held));
}

function refused(status: unknown): NaruError {
  return new NaruError({
    code: "MirrorRefused",
    message: `the canary answered a mirrored call with ${String(status)}`,
    remedy: "look at the canary's log",
  });
}
