import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from "node:http";
import type { Dispatcher } from "undici";
import { NaruError } from "../../lib/errors.ts";
import { type BodyBudget, type HeldBytes, serverFull } from "../../lib/http/body-budget.ts";
import { deadlineExceeded, deadlineOf } from "../../lib/http/deadline.ts";
import { GatheredBytes } from "../../lib/http/gathered-bytes.ts";
import { requestIdOf } from "../../lib/telemetry/logger.ts";
import { answerError, idHeader } from "./answer.ts";
import type { Backend } from "./backend.ts";
import { broken, codeOf, REFUSED_PAUSE_MS, unforwardable } from "./forward-errors.ts";
import { REVISION_HEADER, requestHeaders, responseHeaders } from "./headers.ts";
import { type HoldLimits, unavailable } from "./hold.ts";
import { afterFailure } from "./repeat.ts";
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
  readonly bodies: BodyBudget;
  readonly hold: HoldLimits | undefined;
  readonly tap: MirrorTap | undefined;
  retried(): void;
  ended(outcome: Outcome): void;
}

/**
 * Passes one request to a backend and its answer back, chunk by chunk, with backpressure both ways.
 *
 * When it is sent again, repeat.ts says: never after a byte of an answer came.
 */
export class Exchange implements Dispatcher.DispatchHandler {
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  readonly #options: ForwardOptions;
  readonly #requestId: string;
  #deadline = 0;
  #timer: NodeJS.Timeout | undefined;
  #pause: NodeJS.Timeout | undefined;
  #held: HeldBytes | undefined;
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
    const held = this.#options.bodies.open();
    this.#held = held;
    const gathered = new GatheredBytes();
    request.on("data", (chunk: Buffer) => {
      if (this.#done) return;
      if (held.tryGrow(chunk.length)) gathered.push(chunk);
      else this.#fail(serverFull());
    });
    request.once("end", () => {
      if (this.#done) return;
      const body = gathered.length === 0 ? null : gathered.join();
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
    } else {
      this.#failedBeforeAnswer(error);
    }
  }

  #failedBeforeAnswer(error: Error): void {
    const { hold, retried } = this.#options;
    const next = afterFailure({
      method: this.#request.method ?? "",
      url: this.#request.url ?? "",
      sent: this.#sent,
      bodyUntouched: !(this.#body instanceof StreamedBody) || !this.#body.started,
      repeats: this.#repeats,
      holds: hold !== undefined,
      error,
      milliseconds: performance.now() - this.#began,
    });
    if (next === "now") {
      this.#repeats += 1;
      retried();
      this.#send();
    } else if (next === "pause") {
      retried();
      this.#pause = setTimeout(() => this.#send(), REFUSED_PAUSE_MS);
    } else if (next === "hold" && hold !== undefined) {
      void this.#holdThenSend(hold);
    } else {
      this.#fail(
        this.#sent ? broken(error) : unavailable(`no backend of the revision answers (${codeOf(error)})`),
      );
    }
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
    this.#held?.release();
    clearTimeout(this.#timer);
    clearTimeout(this.#pause);
    this.#options.ended({ status, error, milliseconds: performance.now() - this.#began });
  }
}
