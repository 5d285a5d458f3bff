import {
  type ClientHttp2Stream,
  constants,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
  type ServerHttp2Stream,
} from "node:http2";
import { messageOf } from "../../../lib/errors.ts";
import { type GrpcOutcome, GrpcStatus, outcomeOf } from "../../../lib/grpc/status.ts";
import { type BodyBudget, serverFull } from "../../../lib/http/body-budget.ts";
import { deadlineExceeded } from "../../../lib/http/deadline.ts";
import { REQUEST_ID_HEADER, requestIdOf } from "../../../lib/telemetry/logger.ts";
import { REFUSED_PAUSE_MS } from "../forward-errors.ts";
import { REVISION_HEADER } from "../headers.ts";
import type { HoldGate, HoldLimits } from "../hold.ts";
import { CallDeadline } from "./call-deadline.ts";
import { messageHeaders, requestHeaders, statusOf, trailersOf } from "./headers.ts";
import { KeptCall } from "./kept-call.ts";
import { isError } from "./outcome.ts";
import type { GrpcTap } from "./tap.ts";
import type { GrpcUpstream, PooledSession } from "./upstream.ts";

/** What a call ended with. */
export interface GrpcOutcomeSeen {
  /** grpc-status; CANCELLED where the client left. */
  readonly code: number;
  readonly milliseconds: number;
  readonly error: boolean;
}

export interface GrpcExchangeOptions {
  readonly upstream: GrpcUpstream;
  readonly gate: HoldGate;
  readonly revision: string;
  /** For unary inference; a stream lives as long as its client's own deadline allows. */
  readonly timeoutMilliseconds: number | undefined;
  /** Whether the call may run twice: V2 inference, which only reads. */
  readonly repeatable: boolean;
  readonly bodies: BodyBudget;
  readonly hold: HoldLimits | undefined;
  readonly tap: GrpcTap | undefined;
  retried(): void;
  ended(outcome: GrpcOutcomeSeen): void;
}

/**
 * Passes one HTTP/2 stream of gRPC to a backend and back: messages unparsed, backpressure and trailers both ways,
 * whatever the method. A call is repeated, before any answer came, when it was certainly never begun (the
 * session did not connect, or GOAWAY and REFUSED_STREAM said so), and once when its connection broke, if it may
 * run twice; in both cases only while all that was sent is still kept.
 */
export class GrpcExchange {
  readonly #client: ServerHttp2Stream;
  readonly #headers: IncomingHttpHeaders;
  readonly #options: GrpcExchangeOptions;
  readonly #requestId: string;
  readonly #began = performance.now();
  #deadline: CallDeadline | undefined;
  #pause: NodeJS.Timeout | undefined;
  readonly #kept: KeptCall;
  #clientEnded = false;
  #upstream: ClientHttp2Stream | undefined;
  #session: PooledSession | undefined;
  #answered = false;
  #trailers: OutgoingHttpHeaders | undefined;
  #trailersOnly = false;
  #done = false;
  #holding: AbortController | undefined;

  constructor(client: ServerHttp2Stream, headers: IncomingHttpHeaders, options: GrpcExchangeOptions) {
    this.#client = client;
    this.#headers = headers;
    this.#options = options;
    this.#requestId = requestIdOf(headers);
    this.#kept = new KeptCall(options.bodies.open());
  }

  start(): void {
    const client = this.#client;
    client.on("close", () => this.#clientClosed());
    client.on("data", (chunk: Buffer) => this.#fromClient(chunk));
    client.on("end", () => {
      this.#clientEnded = true;
      this.#upstream?.end();
    });
    client.on("wantTrailers", () => {
      client.sendTrailers(this.#trailers ?? trailersOf(LOST));
      // A reset on the heels of trailers would overtake them.
      if (!client.readableEnded) setImmediate(() => client.close(constants.NGHTTP2_NO_ERROR));
    });
    this.#deadline = new CallDeadline(this.#headers, this.#options.timeoutMilliseconds, this.#began, () =>
      this.#fail(outcomeOf(deadlineExceeded())),
    );
    if (this.#options.gate.closed && this.#options.hold !== undefined)
      void this.#holdThenSend(this.#options.hold);
    else this.#send();
  }

  #send(): void {
    const session = this.#options.upstream.session();
    this.#session = session;
    let upstream: ClientHttp2Stream;
    try {
      upstream = session.session.request(
        requestHeaders(this.#headers, this.#requestId, this.#deadline?.remaining),
        { endStream: false },
      );
    } catch (thrown) {
      // The session ended between its choice and its use.
      this.#failedBeforeAnswer(messageOf(thrown), true);
      return;
    }
    this.#upstream = upstream;
    session.streams += 1;
    let broke: Error | undefined;
    upstream.on("response", (headers, flags) => this.#onResponse(headers, flags));
    upstream.on("data", (chunk: Buffer) => this.#fromBackend(chunk));
    upstream.on("trailers", (trailers) => {
      this.#trailers = messageHeaders(trailers);
    });
    // Not every backend resets a stream that it ended before its client did, and until then it does not close.
    upstream.on("end", () => {
      if (!this.#clientEnded) upstream.close(constants.NGHTTP2_CANCEL);
    });
    upstream.on("drain", () => this.#client.resume());
    upstream.on("error", (error) => {
      broke = error;
    });
    upstream.on("close", () => {
      session.streams -= 1;
      if (this.#upstream === upstream) this.#backendClosed(upstream, session, broke);
    });
    for (const chunk of this.#kept.chunks) upstream.write(chunk);
    if (this.#clientEnded) upstream.end();
  }

  #fromClient(chunk: Buffer): void {
    if (this.#done) return;
    this.#options.tap?.request(chunk);
    const kept = this.#kept.keep(chunk, this.#upstream !== undefined);
    if (kept === "full") {
      this.#fail(outcomeOf(serverFull()));
      return;
    }
    if (kept === "wait") this.#client.pause();
    if (this.#upstream?.write(chunk) === false) this.#client.pause();
  }

  #onResponse(received: IncomingHttpHeaders, flags: number): void {
    if (this.#done || this.#client.destroyed) return;
    this.#answered = true;
    this.#kept.forget();
    this.#options.tap?.answering(received);
    const headers = messageHeaders(received);
    headers[":status"] = Number(received[":status"] ?? 200);
    headers[REQUEST_ID_HEADER] = this.#requestId;
    headers[REVISION_HEADER] = this.#options.revision;
    if ((flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0) {
      // Trailers only: an error, or an answer of no message.
      this.#trailers = headers;
      this.#trailersOnly = true;
      this.#client.respond(headers, { endStream: true });
      return;
    }
    this.#client.respond(headers, { waitForTrailers: true });
  }

  #fromBackend(chunk: Buffer): void {
    if (this.#done || this.#client.destroyed) return;
    this.#options.tap?.answer(chunk);
    if (!this.#client.write(chunk)) {
      const upstream = this.#upstream;
      upstream?.pause();
      this.#client.once("drain", () => upstream?.resume());
    }
  }

  #backendClosed(upstream: ClientHttp2Stream, session: PooledSession, broke: Error | undefined): void {
    if (this.#done) return;
    if (!this.#answered) {
      const refused = upstream.rstCode === constants.NGHTTP2_REFUSED_STREAM;
      this.#failedBeforeAnswer(
        broke?.message ?? "the backend closed the stream",
        refused || !session.connected,
      );
      return;
    }
    if (this.#trailers === undefined) {
      this.#trailers = trailersOf(LOST);
      this.#end(GrpcStatus.UNAVAILABLE);
    } else {
      this.#end(statusOf(this.#trailers));
    }
    const client = this.#client;
    if (client.destroyed) return;
    client.end();
    // What the client may still send is not wanted; unread, it would keep the stream from closing.
    client.resume();
    if (this.#trailersOnly) client.close(constants.NGHTTP2_NO_ERROR);
  }

  #failedBeforeAnswer(why: string, neverBegun: boolean): void {
    const { hold, repeatable, retried } = this.#options;
    if (this.#done) return;
    this.#upstream = undefined;
    const next = this.#kept.afterFailure({
      neverBegun,
      connected: this.#session?.connected === true,
      holds: hold !== undefined,
      repeatable,
      milliseconds: performance.now() - this.#began,
    });
    if (next === "hold" && hold !== undefined) {
      void this.#holdThenSend(hold);
      return;
    }
    if (next === "pause") {
      retried();
      this.#pause = setTimeout(() => this.#send(), REFUSED_PAUSE_MS);
      return;
    }
    if (next === "now") {
      retried();
      this.#send();
      return;
    }
    this.#fail({ code: GrpcStatus.UNAVAILABLE, message: `no answer of the revision's backend: ${why}` });
  }

  async #holdThenSend(hold: HoldLimits): Promise<void> {
    this.#holding = new AbortController();
    try {
      await this.#options.gate.wait(hold, this.#holding.signal);
    } catch (thrown) {
      if (!this.#done) this.#fail(outcomeOf(thrown));
      return;
    } finally {
      this.#holding = undefined;
    }
    if (this.#done) return;
    this.#send();
    this.#client.resume();
  }

  #clientClosed(): void {
    if (this.#done) return;
    this.#end(GrpcStatus.CANCELLED);
    this.#abandon();
  }

  /** Answers with a status of the router's own, whatever was sent before. */
  #fail(outcome: GrpcOutcome): void {
    if (this.#done) return;
    const client = this.#client;
    const trailers = trailersOf(outcome);
    this.#end(outcome.code);
    this.#abandon();
    if (client.destroyed) return;
    if (this.#answered) {
      this.#trailers = trailers;
      client.end();
    } else {
      client.respond(
        {
          ":status": 200,
          "content-type": "application/grpc",
          [REQUEST_ID_HEADER]: this.#requestId,
          [REVISION_HEADER]: this.#options.revision,
          ...trailers,
        },
        { endStream: true },
      );
    }
    // What the client may still send is not wanted; unread, it would keep the stream from closing.
    client.resume();
    client.close(constants.NGHTTP2_NO_ERROR);
  }

  #abandon(): void {
    this.#holding?.abort(new Error("the call has ended"));
    const upstream = this.#upstream;
    this.#upstream = undefined;
    upstream?.close(constants.NGHTTP2_CANCEL);
  }

  #end(code: number): void {
    this.#done = true;
    this.#kept.forget();
    this.#deadline?.stop();
    clearTimeout(this.#pause);
    this.#options.ended({
      code,
      error: isError(code),
      milliseconds: performance.now() - this.#began,
    });
  }
}

const LOST: GrpcOutcome = { code: GrpcStatus.UNAVAILABLE, message: "the backend broke off in its answer" };
