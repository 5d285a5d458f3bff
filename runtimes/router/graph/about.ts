import type { IncomingMessage, ServerResponse } from "node:http";
import { requestIdOf } from "../../../lib/telemetry/logger.ts";
import { answerError, answerJson, idHeader } from "../answer.ts";
import { call } from "../call.ts";
import { REVISION_HEADER } from "../headers.ts";
import type { Routing, Track } from "../routing.ts";
import type { CheckedGraph } from "./checked.ts";
import {
  invalidQuestion,
  modelConfig,
  modelMetadata,
  modelStatistics,
  refuseOther,
  serverMetadata,
} from "./describe.ts";

/** A node that does not say that it is ready by then is not. */
const READY_TIMEOUT_MS = 1000;

/** Answers V2's questions for a graph: it has a name and tensors of its own, and is ready when all its nodes are. */
export async function answerAboutGraph(
  routing: Routing,
  track: Track,
  graph: CheckedGraph,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const own = { ...idHeader(requestIdOf(request.headers)), [REVISION_HEADER]: track.revision };
  const { model } = routing.config;
  const path = (request.url ?? "").replace(/\?.*$/, "").replace(/\/$/, "");
  const asked = /^\/v2\/models\/([^/]+)(?:\/versions\/([^/]+))?(?:\/(ready|config|stats))?$/.exec(path);
  // A body is read to its end whether or not anything is made of it.
  request.resume();
  if (path === "/v2") answerJson(response, 200, serverMetadata(), own);
  else if (path === "/v2/health/ready") {
    const ready = await graphReady(graph);
    answerJson(response, ready ? 200 : 503, { ready }, own);
  } else if (path === "/v2/models/stats") {
    answerJson(response, 200, modelStatistics(model, track), own);
  } else if (path === "/v2/repository/index") {
    answerJson(response, 200, [{ name: model, version: "1", state: "READY", reason: "" }], own);
  } else if (asked === null) answerError(response, invalidQuestion(path), own);
  else {
    const [, name = "", version = "", what] = asked;
    try {
      refuseOther({ name, version }, model);
    } catch (error) {
      answerError(response, error, own);
      return;
    }
    if (what === "ready") {
      const ready = await graphReady(graph);
      answerJson(response, ready ? 200 : 503, { name: model, ready }, own);
    } else if (what === "config") answerJson(response, 200, modelConfig(model, graph), own);
    else if (what === "stats") answerJson(response, 200, modelStatistics(model, track), own);
    else answerJson(response, 200, modelMetadata(model, graph), own);
  }
}

/** Every node's model says that it is ready. */
export async function graphReady(graph: CheckedGraph): Promise<boolean> {
  const answers = await Promise.all(
    graph.models.map(async (node) => {
      if (node === undefined) return true;
      try {
        const { status } = await call(node.backend.http, {
          method: "GET",
          path: `/v2/models/${encodeURIComponent(node.model)}/ready`,
          signal: AbortSignal.timeout(READY_TIMEOUT_MS),
          maxBytes: 64 * 1024,
        });
        return status === 200;
      } catch {
        return false;
      }
    }),
  );
  return answers.every(Boolean);
}
