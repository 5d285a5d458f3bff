import type { IncomingMessage } from "node:http";
import { NaruError } from "../../lib/errors.ts";
import { type HeldBytes, serverFull } from "../../lib/http/body-budget.ts";
import { GatheredBytes } from "../../lib/http/gathered-bytes.ts";

/** Bodies up to here are gathered before they are forwarded: cheaper than a stream, and they can be sent again. */
export const GATHERED_BYTES = 256 * 1024;

export type BodyKind =
  | { readonly kind: "none" }
  /** A length that was announced and is small. */
  | { readonly kind: "small" }
  /** Longer, or of unknown length: passed on as it comes. */
  | { readonly kind: "stream" };

/** @throws NaruError RequestTooLarge (413) where the announced length is beyond the bound. */
export function bodyKind(request: IncomingMessage, maxBytes: number): BodyKind {
  const { "content-length": length, "transfer-encoding": coding } = request.headers;
  if (coding !== undefined) return { kind: "stream" };
  if (length === undefined || length === "0") return { kind: "none" };
  const bytes = Number(length);
  if (bytes > maxBytes) throw requestTooLarge(maxBytes);
  return { kind: bytes <= GATHERED_BYTES ? "small" : "stream" };
}

export function requestTooLarge(maxBytes: number): NaruError {
  return new NaruError({
    code: "RequestTooLarge",
    message: `the request body is larger than ${maxBytes} bytes`,
    remedy: "send fewer rows in a request, or raise server.maxRequestBytes",
    status: 413,
  });
}

/**
 * A body passed on chunk by chunk, without copying. Nothing is read before the first chunk is asked for, so as
 * long as `started` is false the request can still be sent over another connection.
 */
export class StreamedBody {
  readonly #request: IncomingMessage;
  readonly #maxBytes: number;
  readonly #tap: ((chunk: Buffer) => void) | undefined;
  started = false;

  constructor(request: IncomingMessage, maxBytes: number, tap?: (chunk: Buffer) => void) {
    this.#request = request;
    this.#maxBytes = maxBytes;
    this.#tap = tap;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Buffer> {
    this.started = true;
    let length = 0;
    try {
      for await (const chunk of this.#request.iterator({ destroyOnReturn: false })) {
        length += chunk.length;
        if (length > this.#maxBytes) throw requestTooLarge(this.#maxBytes);
        this.#tap?.(chunk);
        yield chunk;
      }
    } finally {
      // What a backend that answered early did not read must leave the connection, or the next request would not come.
      this.#request.resume();
    }
  }
}

/** The whole body, for what has to be parsed; counted by `held` as it comes. */
export function readBody(request: IncomingMessage, maxBytes: number, held: HeldBytes): Promise<Buffer> {
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  const body = new GatheredBytes();
  let refused = false;
  request.on("data", (chunk: Buffer) => {
    if (refused) return;
    const fits = body.length + chunk.length <= maxBytes;
    if (fits && held.tryGrow(chunk.length)) {
      body.push(chunk);
      return;
    }
    refused = true;
    body.clear();
    reject(fits ? serverFull() : requestTooLarge(maxBytes));
  });
  request.once("end", () => resolve(body.join()));
  request.once("error", reject);
  return promise;
}
