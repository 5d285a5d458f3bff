import type { RouterGraph } from "../../../lib/config/router.ts";
import { messageOf, NaruError } from "../../../lib/errors.ts";
import { structureProblems } from "../../../lib/graph/structure.ts";
import { decodeModelMetadata } from "../../../lib/v2/model-metadata.ts";
import type { Backend } from "../backend.ts";
import { call } from "../call.ts";
import { WeightedChoice } from "../split.ts";
import { fitGraph } from "./fit.ts";
import { type GraphPlan, type PlannedEdge, planGraph, type Signature } from "./plan.ts";

/** A node's model and where it answers. */
export interface NodeModel {
  readonly backend: Backend;
  readonly model: string;
}

/** A graph whose structure is sound and whose edges fit: ready to run. */
export interface CheckedGraph {
  readonly plan: GraphPlan;
  /** By position; undefined for a node that only combines. */
  readonly models: readonly (NodeModel | undefined)[];
  readonly signature: Signature;
  /** Whether a node has a use for a tensor. */
  takes(node: number, tensor: string): boolean;
  /** A splitter's next choice. */
  split(node: number): PlannedEdge;
}

const METADATA_BYTES = 1024 * 1024;

/** A problem of the graph itself, which no waiting mends. */
export function invalidGraph(message: string, remedy: string): NaruError {
  return new NaruError({ code: "InvalidGraph", message, remedy, status: 400 });
}

/** @throws NaruError InvalidGraph for a structure that can't be run. */
export function refuseUnsound(graph: RouterGraph): void {
  const [problem] = structureProblems(graph);
  if (problem !== undefined) throw invalidGraph(problem.message, problem.remedy);
  for (const node of graph.nodes) {
    if (node.model !== undefined && node.backend === undefined) {
      throw invalidGraph(
        `the node "${node.name}" has a model but no backend`,
        "name the backend of its model",
      );
    }
  }
}

/**
 * Fetches each node's V2 metadata and judges every edge by it. The graph's structure must be sound.
 *
 * @throws NaruError InvalidGraph, naming the edge; BackendUnavailable, naming the node, while its metadata can't be had:
 *   that passes, so the caller tries again.
 */
export async function checkGraph(
  graph: RouterGraph,
  backendOf: (config: NonNullable<RouterGraph["nodes"][number]["backend"]>) => Backend,
  signal: AbortSignal,
): Promise<CheckedGraph> {
  const plan = planGraph(graph);
  const models = plan.nodes.map((node): NodeModel | undefined =>
    node.model === undefined || node.backend === undefined
      ? undefined
      : { backend: backendOf(node.backend), model: node.model },
  );
  const signatures = await Promise.all(
    models.map((model, index) =>
      model === undefined ? undefined : fetchSignature(plan.nodes[index]?.name ?? "", model, signal),
    ),
  );
  const { problems, signature } = fitGraph(plan, signatures);
  const [problem] = problems;
  if (problem !== undefined) throw invalidGraph(problem.message, problem.remedy);
  const taken = signatures.map((one) =>
    one === undefined ? undefined : new Set(one.inputs.map((input) => input.name)),
  );
  const splitters = plan.nodes.map((node, index) =>
    node.routing === "Splitter" && (plan.leaving[index] ?? []).length > 0
      ? new WeightedChoice((plan.leaving[index] ?? []).map(({ edge }) => edge.weightPercent ?? 0))
      : undefined,
  );
  return {
    plan,
    models,
    signature,
    takes: (node, tensor) => taken[node]?.has(tensor) ?? true,
    split: (node) => {
      const edge = plan.leaving[node]?.[splitters[node]?.next() ?? 0];
      if (edge === undefined) throw new RangeError(`node ${node} splits to nothing`);
      return edge;
    },
  };
}

async function fetchSignature(node: string, model: NodeModel, signal: AbortSignal): Promise<Signature> {
  const path = `/v2/models/${encodeURIComponent(model.model)}`;
  try {
    const { status, body } = await call(model.backend.http, {
      method: "GET",
      path,
      signal,
      maxBytes: METADATA_BYTES,
    });
    if (status !== 200) throw new Error(`${path} answered ${status}`);
    const { inputs, outputs } = decodeModelMetadata(body);
    return { inputs, outputs };
  } catch (error) {
    throw new NaruError({
      code: "BackendUnavailable",
      message: `node "${node}": its metadata can't be had: ${messageOf(error)}`,
      remedy: "wait until the node's model is loaded, or look at its pods",
      status: 503,
      cause: error,
    });
  }
}
