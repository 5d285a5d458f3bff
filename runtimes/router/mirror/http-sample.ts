import type { IncomingHttpHeaders } from "node:http";
import { NaruError } from "../../../lib/errors.ts";
import { decodeInferResponse } from "../../../lib/v2/infer-response.ts";
import type { InferResponse } from "../../../lib/v2/types.ts";
import type { Backend } from "../backend.ts";
import { call } from "../call.ts";
import { inflate } from "../inflate.ts";
import type { Routing, Track } from "../routing.ts";
import type { MirrorTap } from "../tap.ts";
import { MAX_SAMPLE_BYTES, type Mirror } from "./mirror.ts";

/** Headers of the copied request that say what its body is; the client's others are not the canary's business. */
const COPIED = ["content-type", "content-encoding", "inference-header-content-length"] as const;

/**
 * Listens in on one inference that stable answers over HTTP and submits it once its answer is whole. Holds chunks
 * only up to the bound: of a larger exchange nothing is kept.
 */
export class HttpSample implements MirrorTap {
  readonly #path: string;
  readonly #headers: IncomingHttpHeaders;
  readonly #requestChunks: Buffer[] = [];
  readonly #answerChunks: Buffer[] = [];
  #answerHeaders: IncomingHttpHeaders = {};
  #status = 0;
  #bytes = 0;

  constructor(path: string, headers: IncomingHttpHeaders) {
    this.#path = path;
    this.#headers = headers;
  }

  request(chunk: Buffer): void {
    this.#keep(this.#requestChunks, chunk);
  }

  answer(status: number, headers: IncomingHttpHeaders): void {
    this.#status = status;
    this.#answerHeaders = headers;
  }

  answerData(chunk: Buffer): void {
    this.#keep(this.#answerChunks, chunk);
  }

  /** The exchange ended. Only what stable answered with 200 can be compared. */
  submit(mirror: Mirror, routing: Routing, canary: Track): void {
    const { config } = routing;
    if (this.#status !== 200 || config.mirror === undefined || canary.target.kind !== "backend") return;
    const { backend } = canary.target;
    const maxBytes = config.maxRequestBytes;
    mirror.submit({
      canary,
      comparison: config.mirror,
      bytes: this.#bytes,
      timeoutMilliseconds: config.requestTimeoutMilliseconds,
      stableAnswer: () => decode(Buffer.concat(this.#answerChunks), this.#answerHeaders, maxBytes),
      canaryAnswer: (signal) => this.#ask(backend, signal, maxBytes),
    });
  }

  async #ask(backend: Backend, signal: AbortSignal, maxBytes: number): Promise<InferResponse> {
    const headers: Record<string, string> = {};
    for (const name of COPIED) {
      const value = this.#headers[name];
      if (typeof value === "string") headers[name] = value;
    }
    const {
      status,
      headers: received,
      body,
    } = await call(backend.http, {
      method: "POST",
      path: this.#path,
      headers,
      body: Buffer.concat(this.#requestChunks),
      signal,
      maxBytes,
    });
    if (status !== 200) throw refused(status);
    return decode(body, received, maxBytes);
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

async function decode(body: Buffer, headers: IncomingHttpHeaders, maxBytes: number): Promise<InferResponse> {
  const plain = await inflate(body, headers["content-encoding"], maxBytes);
  const length = headers["inference-header-content-length"];
  return decodeInferResponse(plain, length === undefined ? undefined : Number(length));
}

function refused(status: number): NaruError {
  return new NaruError({
    code: "MirrorRefused",
    message: `the canary answered a mirrored request with ${status}`,
    remedy: "look at the canary's log",
  });
}
