import { randomUUID } from "node:crypto";
import type { InferRequest, InferResponse, Tensor } from "../../../lib/v2/types.ts";
import { inferByGraph } from "../graph/infer.ts";
import type { Routing } from "../routing.ts";
import type { Mirror } from "./mirror.ts";

/** Submits a request that stable's graph answered to the canary's graph. */
export function submitGraphSample(
  mirror: Mirror,
  routing: Routing,
  { request, response }: { request: InferRequest; response: InferResponse },
): void {
  const { canary, config } = routing;
  if (canary === undefined || config.mirror === undefined || canary.target.kind !== "graph") return;
  const { graph } = canary.target;
  mirror.submit({
    canary,
    comparison: config.mirror,
    bytes: sizeOf(request.inputs) + sizeOf(response.outputs),
    timeoutMilliseconds: config.requestTimeoutMilliseconds,
    stableAnswer: () => Promise.resolve(response),
    canaryAnswer: (signal) =>
      inferByGraph(request, {
        graph,
        model: config.model,
        requestId: randomUUID(),
        deadline: performance.now() + config.requestTimeoutMilliseconds,
        maxBytes: config.maxRequestBytes,
        hold: undefined,
        signal,
      }),
  });
}

function sizeOf(tensors: readonly Tensor[]): number {
  return tensors.reduce((sum, { data }) => sum + ("byteLength" in data ? data.byteLength : bytesOf(data)), 0);
}

function bytesOf(elements: readonly Buffer[]): number {
  return elements.reduce((sum, element) => sum + element.length, 0);
}
