import { randomUUID } from "node:crypto";
import type { InferRequest, InferResponse, Tensor } from "../../../lib/v2/types.ts";
import { inferByGraph } from "../graph/infer.ts";
import type { Router } from "../router.ts";
import type { Routing } from "../routing.ts";

/** Submits a request that stable's graph answered to the canary's graph. */
export function submitGraphSample(
  { mirror, bodies }: Pick<Router, "mirror" | "bodies">,
  routing: Routing,
  { request, response }: { request: InferRequest; response: InferResponse },
): void {
  const { canary, config } = routing;
  if (canary === undefined || config.mirror === undefined || canary.target.kind !== "graph") return;
  const { graph } = canary.target;
  // The tensors that it keeps are within the mirror's own bound; what the canary's nodes answer is held beside.
  const held = bodies.open();
  mirror.submit({
    canary,
    comparison: config.mirror,
    bytes: sizeOf(request.inputs) + sizeOf(response.outputs),
    timeoutMilliseconds: config.requestTimeoutMilliseconds,
    release: () => held.release(),
    stableAnswer: () => Promise.resolve(response),
    canaryAnswer: (signal) =>
      inferByGraph(request, {
        graph,
        model: config.model,
        requestId: randomUUID(),
        deadline: performance.now() + config.requestTimeoutMilliseconds,
        maxBytes: config.maxRequestBytes,
        hold: undefined,
        held,
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
