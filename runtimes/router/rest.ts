import type { IncomingMessage, ServerResponse } from "node:http";
import { NaruError } from "../../lib/errors.ts";
import { requestIdOf } from "../../lib/telemetry/logger.ts";
import { answerError, answerJson, idHeader } from "./answer.ts";
import { Exchange } from "./forward.ts";
import { answerAboutGraph } from "./graph/about.ts";
import type { CheckedGraph } from "./graph/checked.ts";
import { refuseOther } from "./graph/describe.ts";
import { inferOverRest } from "./graph/rest.ts";
import { submitGraphSample } from "./mirror/graph-sample.ts";
import { HttpSample } from "./mirror/http-sample.ts";
import { isInference } from "./repeat.ts";
import type { Router } from "./router.ts";
import type { Routing, Track } from "./routing.ts";

/**
 * Answers the data port. Inference, and whatever a user's own server has besides V2, is split by weight and
 * counted; questions about the server and its models (health, metadata, config, statistics, index) go to stable
 * and count for nothing, so that a probe never tips an analysis.
 */
export function handleRest(router: Router, request: IncomingMessage, response: ServerResponse): void {
  const url = request.url ?? "/";
  if (url === "/v2/health/live") {
    answerJson(response, 200, { live: true });
    return;
  }
  const { routing } = router;
  if (routing === undefined) {
    answerError(response, notReady(), idHeader(requestIdOf(request.headers)));
    return;
  }
  if (isQuestion(request.method ?? "GET", url)) {
    answerQuestion(router, routing, request, response);
    return;
  }
  router.began();
  const track = routing.pick();
  if (track.target.kind === "backend") forward(router, routing, track, request, response);
  else void runGraph(router, routing, track, track.target.graph, request, response);
}

/** Questions of V2 about the server and its models: everything under /v2 but inference itself. */
function isQuestion(method: string, url: string): boolean {
  if (!/^\/v2(?:[/?]|$)/.test(url)) return false;
  return method === "GET" || method === "HEAD" || url.startsWith("/v2/repository/");
}

function answerQuestion(
  router: Router,
  routing: Routing,
  request: IncomingMessage,
  response: ServerResponse,
): void {
  const { stable, config } = routing;
  if (stable.target.kind === "graph") {
    void answerAboutGraph(routing, stable, stable.target.graph, request, response);
    return;
  }
  if (config.hold !== undefined && (request.url ?? "").startsWith("/v2/health/ready")) {
    // Ready to take requests, whether or not a pod is up: the first request is what brings one.
    answerJson(response, 200, { ready: true });
    return;
  }
  router.began();
  new Exchange(request, response, {
    backend: stable.target.backend,
    revision: stable.revision,
    timeoutMilliseconds: config.requestTimeoutMilliseconds,
    maxRequestBytes: config.maxRequestBytes,
    bodies: router.bodies,
    hold: undefined,
    tap: undefined,
    retried: stable.metrics.retried,
    ended: () => router.ended(),
  }).start();
}

function forward(
  router: Router,
  routing: Routing,
  track: Track,
  request: IncomingMessage,
  response: ServerResponse,
): void {
  if (track.target.kind !== "backend") return;
  const { config } = routing;
  const sample =
    isInference(request.url ?? "") && routing.mirrors(track)
      ? new HttpSample(request.url ?? "", request.headers, router.bodies.open())
      : undefined;
  new Exchange(request, response, {
    backend: track.target.backend,
    revision: track.revision,
    timeoutMilliseconds: config.requestTimeoutMilliseconds,
    maxRequestBytes: config.maxRequestBytes,
    bodies: router.bodies,
    hold: config.hold,
    tap: sample,
    retried: track.metrics.retried,
    ended: ({ status, milliseconds, error }) => {
      router.ended();
      track.counters.ended(milliseconds, error);
      track.metrics.ended(String(status), milliseconds);
      if (routing.canary !== undefined && status === 200)
        sample?.submit(router.mirror, routing, routing.canary);
      else sample?.release();
    },
  }).start();
}

async function runGraph(
  router: Router,
  routing: Routing,
  track: Track,
  graph: CheckedGraph,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { config } = routing;
  const refusal = refuseForGraph(request, config.model);
  if (refusal !== undefined) {
    router.ended();
    answerError(response, refusal, { ...idHeader(requestIdOf(request.headers)), connection: "close" });
    return;
  }
  await inferOverRest(request, response, {
    graph,
    model: config.model,
    revision: track.revision,
    timeoutMilliseconds: config.requestTimeoutMilliseconds,
    maxRequestBytes: config.maxRequestBytes,
    bodies: router.bodies,
    hold: config.hold,
    ended: ({ status, milliseconds, error }, exchange) => {
      router.ended();
      track.counters.ended(milliseconds, error);
      track.metrics.ended(String(status), milliseconds);
      if (exchange !== undefined && routing.mirrors(track)) submitGraphSample(router, routing, exchange);
    },
  });
}

/** A graph answers inference under its own name and nothing else. */
function refuseForGraph(request: IncomingMessage, model: string): NaruError | undefined {
  const match = /^\/v2\/models\/([^/?]+)(?:\/versions\/([^/?]+))?\/infer(?:\?|$)/.exec(request.url ?? "");
  if (request.method !== "POST" || match === null) {
    return new NaruError({
      code: "NotFound",
      message: "a graph answers POST /v2/models/NAME/infer and the questions of V2",
      remedy: `post to /v2/models/${model}/infer`,
      status: 404,
    });
  }
  const [, name = "", version = ""] = match;
  try {
    refuseOther({ name: decodeURIComponentSafe(name), version }, model);
  } catch (error) {
    if (error instanceof NaruError) return error;
    throw error;
  }
  return undefined;
}

function decodeURIComponentSafe(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    // Not percent-encoding: then it is no name that was configured, either.
    return text;
  }
}

function notReady(): NaruError {
  return new NaruError({
    code: "RouterNotReady",
    message: "the router has no configuration in force yet",
    remedy: "try again shortly; if it lasts, look at the ModelServing's status",
    status: 503,
  });
}
