import type { IncomingMessage, ServerResponse } from "node:http";
import { NaruError } from "../../../lib/errors.ts";
import type { BodyBudget } from "../../../lib/http/body-budget.ts";
import { deadlineOf } from "../../../lib/http/deadline.ts";
import { requestIdOf } from "../../../lib/telemetry/logger.ts";
import { decodeInferRequest } from "../../../lib/v2/infer-request.ts";
import { encodeInferResponse } from "../../../lib/v2/infer-response.ts";
import type { InferRequest, InferResponse } from "../../../lib/v2/types.ts";
import { answerError, idHeader } from "../answer.ts";
import { CLIENT_CLOSED, type Outcome } from "../forward.ts";
import { REVISION_HEADER } from "../headers.ts";
import type { HoldLimits } from "../hold.ts";
import { inflate } from "../inflate.ts";
import { bodyKind, readBody } from "../request-body.ts";
import type { CheckedGraph } from "./checked.ts";
import { inferByGraph } from "./infer.ts";

export interface GraphRestOptions {
  readonly graph: CheckedGraph;
  readonly model: string;
  readonly revision: string;
  readonly timeoutMilliseconds: number;
  readonly maxRequestBytes: number;
  readonly hold: HoldLimits | undefined;
  readonly bodies: BodyBudget;
  ended(outcome: Outcome, exchange: { request: InferRequest; response: InferResponse } | undefined): void;
}

/** Answers one V2 REST inference from a graph. */
export async function inferOverRest(
  request: IncomingMessage,
  response: ServerResponse,
  options: GraphRestOptions,
): Promise<void> {
  const requestId = requestIdOf(request.headers);
  const own = { ...idHeader(requestId), [REVISION_HEADER]: options.revision };
  const gone = new AbortController();
  response.once("close", () => {
    if (!response.writableFinished) gone.abort(clientClosed());
  });
  const held = options.bodies.open();
  let began = performance.now();
  let status = 200;
  let exchange: { request: InferRequest; response: InferResponse } | undefined;
  try {
    const deadline = deadlineOf(request.headers, options.timeoutMilliseconds, began);
    bodyKind(request, options.maxRequestBytes);
    const bytes = await untilAborted(readBody(request, options.maxRequestBytes, held), gone.signal);
    began = performance.now();
    const body = await inflate(bytes, request.headers["content-encoding"], options.maxRequestBytes, held);
    const asked = decodeInferRequest(body, headerLength(request));
    const answer = await inferByGraph(asked, {
      graph: options.graph,
      model: options.model,
      requestId,
      deadline,
      maxBytes: options.maxRequestBytes,
      hold: options.hold,
      held,
      signal: gone.signal,
    });
    send(response, encodeInferResponse(answer, asked), own);
    exchange = { request: asked, response: answer };
  } catch (thrown) {
    if (gone.signal.aborted) status = CLIENT_CLOSED;
    else status = answerError(response, thrown, request.complete ? own : { ...own, connection: "close" });
  } finally {
    held.release();
  }
  options.ended({ status, error: status >= 500, milliseconds: performance.now() - began }, exchange);
}

function send(
  response: ServerResponse,
  encoded: ReturnType<typeof encodeInferResponse>,
  own: Record<string, string>,
): void {
  const body = typeof encoded === "string" ? Buffer.from(encoded) : encoded.body;
  const binary = typeof encoded === "string" ? undefined : encoded.headerLength;
  response.writeHead(200, {
    ...own,
    "content-type": binary === undefined ? "application/json" : "application/octet-stream",
    "content-length": body.length,
    ...(binary === undefined ? {} : { "inference-header-content-length": binary }),
  });
  response.end(body);
}

function headerLength(request: IncomingMessage): number | undefined {
  const value = request.headers["inference-header-content-length"];
  if (value === undefined) return undefined;
  if (typeof value === "string" && /^\d{1,15}$/.test(value)) return Number(value);
  throw new NaruError({
    code: "InvalidRequest",
    message: "Inference-Header-Content-Length is not a number of bytes",
    remedy: "send the length of the JSON in front of the binary tensors",
    status: 400,
  });
}

function untilAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
    promise.then(resolve, reject);
  });
}

function clientClosed(): NaruError {
  return new NaruError({
    code: "ClientClosed",
    message: "the client left before its answer was there",
    remedy: "wait longer, or send fewer rows",
    status: CLIENT_CLOSED,
  });
}
