import type { IncomingHttpHeaders } from "node:http";
import type { Dispatcher } from "undici";
import { NaruError } from "../../lib/errors.ts";
import type { HeldBytes } from "../../lib/http/body-budget.ts";
import type { Upstream } from "./upstream.ts";

export interface CallOptions {
  readonly method: "GET" | "POST";
  readonly path: string;
  readonly headers?: Record<string, string>;
  readonly body?: Buffer;
  readonly signal: AbortSignal;
  /** An answer beyond it is an error. */
  readonly maxBytes: number;
  /** Counts the answer; beyond what the process may hold, the call rejects with ServerFull. */
  readonly held?: HeldBytes;
}

export interface CallAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

/** A call whose failure left no doubt that the backend never had the request, or one that may be made twice. */
function retryable(failure: CallFailure, options: CallOptions): boolean {
  return !options.signal.aborted && (!failure.sent || (!failure.answered && options.method === "GET"));
}

/** A call that got no whole answer. */
export class CallFailure extends Error {
  /** Bytes of the request may have reached the backend. */
  readonly sent: boolean;
  /** Bytes of an answer came. */
  readonly answered: boolean;

  constructor(cause: Error, sent: boolean, answered: boolean) {
    super(cause.message, { cause });
    this.name = "CallFailure";
    this.sent = sent;
    this.answered = answered;
  }
}

/**
 * One whole request to a backend and its whole answer, as graphs, mirrors and metadata need them. Rejects with
 * CallFailure where the connection failed, with the signal's reason once it aborts. A connection that could not be
 * opened is tried once more, since a Service may choose another pod.
 */
export async function call(upstream: Upstream, options: CallOptions): Promise<CallAnswer> {
  try {
    return await callOnce(upstream, options);
  } catch (error) {
    if (!(error instanceof CallFailure) || !retryable(error, options)) throw error;
    return callOnce(upstream, options);
  }
}

function callOnce(upstream: Upstream, options: CallOptions): Promise<CallAnswer> {
  const { promise, resolve, reject } = Promise.withResolvers<CallAnswer>();
  const { signal, maxBytes } = options;
  if (signal.aborted) return Promise.reject(signal.reason);
  let controller: Dispatcher.DispatchController | undefined;
  let status = 0;
  let headers: IncomingHttpHeaders = {};
  const chunks: Buffer[] = [];
  let length = 0;
  const onAbort = (): void => {
    controller?.abort(signal.reason);
    reject(signal.reason);
  };
  signal.addEventListener("abort", onAbort, { once: true });
  upstream.dispatch(
    {
      method: options.method,
      path: options.path,
      headers: options.headers ?? {},
      body: options.body ?? null,
    },
    {
      onRequestStart(started) {
        controller = started;
        if (signal.aborted) started.abort(signal.reason);
      },
      onResponseStart(_, code, received) {
        status = code;
        headers = received;
      },
      onResponseData(current, chunk) {
        length += chunk.length;
        if (length > maxBytes) current.abort(tooLarge(maxBytes));
        else if (options.held?.tryGrow(chunk.length) === false)
          current.abort(options.held.refusal(chunk.length));
        else chunks.push(chunk);
      },
      onResponseEnd() {
        resolve({
          status,
          headers,
          body: chunks.length === 1 ? (chunks[0] ?? EMPTY) : Buffer.concat(chunks),
        });
      },
      onResponseError(_, error) {
        reject(
          error instanceof NaruError ? error : new CallFailure(error, controller !== undefined, status !== 0),
        );
      },
    },
  );
  return promise.finally(() => signal.removeEventListener("abort", onAbort));
}

const EMPTY = Buffer.alloc(0);

function tooLarge(maxBytes: number): NaruError {
  return new NaruError({
    code: "AnswerTooLarge",
    message: `a backend's answer is larger than ${maxBytes} bytes`,
    remedy: "raise maxRequestBytes, or ask for fewer rows or outputs",
    status: 502,
  });
}
