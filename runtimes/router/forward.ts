import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from "node:http";
import type { Dispatcher } from "undici";
import { NaruError } from "../../lib/errors.ts";
import { deadlineExceeded, deadlineOf } from "../../lib/http/deadline.ts";
import { requestIdOf } from "../../lib/telemetry/logger.ts";
import { answerError, idHeader } from "./answer.ts";
import type { Backend } from "./backend.ts";
import {
  broken,
  codeOf,
  isConnectionRefused,
  REFUSED_MS,
  REFUSED_PAUSE_MS,
  unforwardable,
} from "./forward-errors.ts";
import { REVISION_HEADER, requestHeaders, responseHeaders } from "./headers.ts";
import { type HoldLimits, unavailable } from "./hold.ts";
import { bodyKind, StreamedBody } from "./request-body.ts";
import type { MirrorTap } from "./tap.ts";

/** The status under which a request is counted whose client left before the answer's end (nginx's number). */
export const CLIENT_CLOSED = 499;

/** What the router wants to know of a request that ended. */
export interface Outcome {
  /** What the client got; CLIENT_CLOSED where it left. */
  readonly status: number;
  /** From forwarding to the end. */
  readonly milliseconds: number;
  /** An answer ≥ 500, a connection that failed, a deadline that passed. */
  readonly error: boolean;
}

export interface ForwardOptions {
  readonly backend: Backend;
  readonly revision: string;
  readonly timeoutMilliseconds: number;
  readonly maxRequestBytes: number;
  readonly hold: HoldLimits | undefined;
  readonly tap: MirrorTap | undefined;
  retried(): void;
  ended(outcome: Outcome): void;
}

/** Methods that may be repeated by their definition (RFC 9110 §9.2.2). */
const IDEMPOTENT: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS", "PUT", "DELETE"]);

/**
 * Passes one request to a backend and its answer back, chunk by chunk, with backpressure both ways.
 *
 * When is a request sent again? Never after a byte of an answer came, and:
 * - The connection could not be opened: nothing was sent, so any request may go elsewhere, as long as its body
 *   has not begun to be read. Once, and where it was refused, for REFUSED_MS. With `hold`, it waits until a backend
 *   is ready instead of failing.
 * - The connection broke before any answer. A pooled connection may have been closed by the server while the
 *   request was on its way; over TCP that can't be told from a server that died while it worked. So only
 *   what may run twice is repeated: idempotent methods, and V2 inference, which by its protocol only reads;
 *   once, and only when the whole body is still in memory. The rest is answered 502.
 */
export class Exchange implements Dispatcher.DispatchHandler {
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  readonly #options: ForwardOptions;
  readonly #requestId: string;
  #deadline = 0;
  #timer: NodeJS.Timeout | undefined;
  #pause: NodeJS.Timeout | undefined;
  #body: Buffer | StreamedBody | null = null;
  #began = 0;
  #sent = false;
  #repeats = 0;
  #status = 0;
  #remaining = -1;
  #done = false;
  #controller: Dispatcher.DispatchController | undefined;
  #holding: AbortController | undefined;

  constructor(request: IncomingMessage, response: ServerResponse, options: ForwardOptions) {
    this.#request = request;
    this.#response = response;
    this.#options = options;
    this.#requestId = requestIdOf(request.headers);
  }

  start(): void {
    const request = this.#request;
    const { timeoutMilliseconds, maxRequestBytes, tap } = this.#options;
    const now = performance.now();
    this.#began = now;
    this.#response.once("close", () => this.#clientClosed());
    try {
      this.#deadline = deadlineOf(request.headers, timeoutMilliseconds, now);
      const { kind } = bodyKind(request, maxRequestBytes);
      this.#timer = setTimeout(() => this.#late(), this.#deadline - now);
      if (kind === "small") {
        this.#gather();
        return;
      }
      if (kind === "stream") {
        this.#body = new StreamedBody(request, maxRequestBytes, (chunk) => tap?.request(chunk));
      }
    } catch (thrown) {
      this.#fail(thrown);
      return;
    }
    this.#forward();
  }

  #gather(): void {
    const request = this.#request;
    let whole: Buffer | undefined;
    let more: Buffer[] | undefined;
    request.on("data", (chunk: Buffer) => {
      if (whole === undefined) whole = chunk;
      else if (more === undefined) more = [whole, chunk];
      else more.push(chunk);
    });
    request.once("end", () => {
      const body = more === undefined ? (whole ?? null) : Buffer.concat(more);
      this.#body = body;
      if (body !== null) this.#options.tap?.request(body);
      // A slow upload is the client's, and no revision's latency.
      this.#began = performance.now();
      this.#forward();
    });
  }

  #forward(): void {
    if (this.#done) return;
    const { gate } = this.#options.backend;
    if (gate.closed && this.#options.hold !== undefined) void this.#holdThenSend(this.#options.hold);
    else this.#send();
  }

  #send(): void {
    const request = this.#request;
    this.#sent = false;
    try {
      this.#options.backend.http.dispatch(
        {
          method: request.method ?? "GET",
          path: request.url ?? "/",
          headers: requestHeaders(request.rawHeaders, request.headers, {
            requestId: this.#requestId,
            remaining: this.#deadline - performance.now(),
            client: request.socket.remoteAddress,
          }),
          // undici takes any async iterable; its types name fewer.
          body: this.#body as Buffer | null,
        },
        this,
      );
    } catch (thrown) {
      this.#fail(thrown);
    }
  }

  async #holdThenSend(hold: HoldLimits): Promise<void> {
    this.#holding = new AbortController();
    // Waiting for a first pod has a limit of its own; the request's deadline begins when it is forwarded.
    clearTimeout(this.#timer);
    try {
      await this.#options.backend.gate.wait(hold, this.#holding.signal);
    } catch (thrown) {
      if (!this.#done) this.#fail(thrown);
      return;
    } finally {
      this.#holding = undefined;
    }
    const now = performance.now();
    this.#began = now;
    this.#deadline = deadlineOf(this.#request.headers, this.#options.timeoutMilliseconds, now);
    this.#timer = setTimeout(() => this.#late(), this.#deadline - now);
    this.#send();
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    this.#sent = true;
    if (this.#done) controller.abort(new Error("the request has ended"));
  }

  onResponseStart(
    _controller: Dispatcher.DispatchController,
    status: number,
    received: IncomingHttpHeaders,
    statusText?: string,
  ): void {
    // 103 and its like: hints that the client does not need.
    if (status < 200 || this.#done) return;
    this.#status = status;
    const headers = responseHeaders(received, this.#requestId, this.#options.revision);
    const length = received["content-length"];
    this.#remaining = typeof length === "string" ? Number(length) : -1;
    this.#options.tap?.answer(status, received);
    this.#response.writeHead(status, statusText ?? "", headers);
    // A stream's client is to see its head at once; a body of known length comes with it.
    if (this.#remaining === -1) this.#response.flushHeaders();
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#done) return;
    this.#options.tap?.answerData(chunk);
    if (this.#remaining === chunk.length) {
      this.#remaining = 0;
      this.#response.end(chunk);
      return;
    }
    this.#remaining -= chunk.length;
    if (!this.#response.write(chunk)) {
      controller.pause();
      this.#response.once("drain", () => controller.resume());
    }
  }

  onResponseEnd(): void {
    if (this.#done) return;
    this.#response.end();
    this.#end(this.#status, this.#status >= 500);
  }

  onResponseError(_controller: Dispatcher.DispatchController | null, error: Error): void {
    if (this.#done) return;
    if (error instanceof NaruError) {
      this.#fail(error);
    } else if (codeOf(error) === "UND_ERR_INVALID_ARG") {
      this.#fail(unforwardable());
    } else if (this.#status !== 0) {
      // The client must not take a part for the whole: its connection is cut too.
      this.#response.destroy();
      this.#end(502, true);
    } else if (this.#request.errored !== null) {
      // The client broke off its own upload.
      this.#clientClosed();
    } else if (this.#mayRepeat()) {
      this.#repeats += 1;
      this.#options.retried();
      this.#send();
    } else if (this.#mayAskAgain(error)) {
      this.#options.retried();
      this.#pause = setTimeout(() => this.#send(), REFUSED_PAUSE_MS);
    } else if (!this.#sent && this.#options.hold !== undefined && this.#bodyUntouched()) {
      void this.#holdThenSend(this.#options.hold);
    } else {
      this.#fail(
        this.#sent ? broken(error) : unavailable(`no backend of the revision answers (${codeOf(error)})`),
      );
    }
  }

  #mayRepeat(): boolean {
    if (this.#repeats > 0 || !this.#bodyUntouched()) return false;
    // What waits at the gate is not to be overtaken.
    if (!this.#sent) return this.#options.hold === undefined;
    return IDEMPOTENT.has(this.#request.method ?? "") || isInference(this.#request.url ?? "");
  }

  #mayAskAgain(error: Error): boolean {
    if (this.#sent || this.#options.hold !== undefined || !this.#bodyUntouched()) return false;
    return isConnectionRefused(error) && performance.now() - this.#began < REFUSED_MS;
  }

  #bodyUntouched(): boolean {
    return !(this.#body instanceof StreamedBody) || !this.#body.started;
  }

  #late(): void {
    if (this.#done) return;
    this.#controller?.abort(new Error("deadline"));
    if (this.#status === 0) {
      this.#fail(deadlineExceeded());
    } else {
      this.#response.destroy();
      this.#end(504, true);
    }
  }

  #clientClosed(): void {
    if (this.#done) return;
    this.#end(CLIENT_CLOSED, false);
    this.#holding?.abort(new Error("the client left"));
    this.#controller?.abort(new Error("the client left"));
  }

  #fail(thrown: unknown): void {
    if (this.#done) return;
    const headers = { ...idHeader(this.#requestId), [REVISION_HEADER]: this.#options.revision };
    // An upload that is not read to its end leaves the connection unusable.
    const unread = this.#request.complete ? headers : { ...headers, connection: "close" };
    const status = answerError(this.#response, thrown, unread);
    this.#end(status, status >= 500);
  }

  #end(status: number, error: boolean): void {
    this.#done = true;
    clearTimeout(this.#timer);
    clearTimeout(this.#pause);
    this.#options.ended({ status, error, milliseconds: performance.now() - this.#began });
  }
}

/** V2 inference only reads: the protocol knows no effect of it. */
export function isInference(url: string): boolean {
  const query = url.indexOf("?");
  const path = query === -1 ? url : url.slice(0, query);
  return path.startsWith("/v2/models/") && path.endsWith("/infer");
}
