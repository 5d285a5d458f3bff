import type { IncomingHttpHeaders } from "node:http";
import { NaruError } from "../../../lib/errors.ts";
import type { HeldBytes } from "../../../lib/http/body-budget.ts";
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
  readonly #held: HeldBytes;

  /** `held` counts what is kept, until `submit`'s comparison is over or `release` is called. */
  constructor(path: string, headers: IncomingHttpHeaders, held: HeldBytes) {
    this.#held = held;
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
    if (this.#status !== 200 || config.mirror === undefined || canary.target.kind !== "backend") {
      this.release();
      return;
    }
    const { backend } = canary.target;
    const maxBytes = config.maxRequestBytes;
    mirror.submit({
      canary,
      comparison: config.mirror,
      bytes: this.#bytes,
      timeoutMilliseconds: config.requestTimeoutMilliseconds,
      stableAnswer: () =>
        decode(Buffer.concat(this.#answerChunks), this.#answerHeaders, maxBytes, this.#held),
      canaryAnswer: (signal) => this.#ask(backend, signal, maxBytes),
      release: () => this.release(),
    });
  }

  release(): void {
    this.#held.release();
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
      held: this.#held,
    });
    if (status !== 200) throw refused(status);
    return decode(body, received, maxBytes, this.#held);
  }

  #keep(chunks: Buffer[], chunk: Buffer): void {
    this.#bytes += chunk.length;
    if (this.#bytes > MAX_SAMPLE_BYTES) this.#forget();
    else if (this.#held.tryGrow(chunk.length)) chunks.push(chunk);
    else {
      // A copy is never worth a request of a client: it is dropped as one that is too large.
      this.#bytes = Number.POSITIVE_INFINITY;
      this.#forget();
    }
  }

  #forget(): void {
    this.#requestChunks.length = 0;
    this.#answerChunks.length = 0;
    this.#held.shrink(this.#held.bytes);
  }
}

async function decode(
  body: Buffer,
  headers: IncomingHttpHeaders,
  maxBytes: number,
  held: HeldBytes,
): Promise<InferResponse> {
  const plain = await inflate(body, headers["content-encoding"], maxBytes, held);
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
