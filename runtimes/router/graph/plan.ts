import type { RouterGraph } from "../../../lib/config/router.ts";
import { topologicalOrder } from "../../../lib/graph/structure.ts";
import type { TensorMetadata } from "../../../lib/v2/types.ts";

export type GraphNode = RouterGraph["nodes"][number];
export type GraphEdge = RouterGraph["edges"][number];

/** What a node's model takes and answers, as its V2 metadata says. */
export interface Signature {
  readonly inputs: readonly TensorMetadata[];
  readonly outputs: readonly TensorMetadata[];
}

/** An edge by position: `from` and `to` are indices into `GraphPlan.nodes`. */
export interface PlannedEdge {
  readonly index: number;
  readonly from: number;
  readonly to: number;
  readonly edge: GraphEdge;
}

/** A graph laid out for running: edges by node, so that no request searches for anything. */
export interface GraphPlan {
  readonly entry: number;
  readonly nodes: readonly GraphNode[];
  readonly edges: readonly PlannedEdge[];
  readonly entering: readonly (readonly PlannedEdge[])[];
  readonly leaving: readonly (readonly PlannedEdge[])[];
  /** Indices of nodes, each after every node that leads to it. */
  readonly order: readonly number[];
}

/** The graph's structure must be sound (`structureProblems` found nothing). */
export function planGraph(graph: RouterGraph): GraphPlan {
  const indexOf = new Map(graph.nodes.map((node, index) => [node.name, index]));
  const at = (name: string): number => {
    const index = indexOf.get(name);
    if (index === undefined) throw new RangeError(`"${name}" is not a node`);
    return index;
  };
  const edges = graph.edges.map((edge, index) => ({ index, from: at(edge.from), to: at(edge.to), edge }));
  return {
    entry: at(graph.entry),
    nodes: graph.nodes,
    edges,
    entering: graph.nodes.map((_, index) => edges.filter((edge) => edge.to === index)),
    leaving: graph.nodes.map((_, index) => edges.filter((edge) => edge.from === index)),
    order: topologicalOrder(graph).map(at),
  };
}

/** A tensor as it arrives over an edge: under the name that its node knows it by. */
export interface Carried<T> {
  readonly tensor: T;
  /** Its name in the request, where it comes from there. */
  readonly inRequest?: string;
}

/**
 * What an edge carries: outputs of its node, renamed where the edge says so, and tensors of the request that it
 * names. What is named wins over an output that only keeps the same name. Works for tensors and for their
 * metadata alike, so that what is checked is what is done; no data is copied.
 */
export function carried<T extends { readonly name: string }>(
  edge: GraphEdge,
  outputs: readonly T[],
  request: readonly T[],
): Carried<T>[] {
  const requested = edge.tensors.filter(({ source }) => source === "Request");
  const renames = edge.tensors.filter(({ source }) => source !== "Request");
  const arriving: Carried<T>[] = [];
  for (const tensor of outputs) {
    const named = renames.filter(({ from }) => from === tensor.name);
    for (const { to } of named) arriving.push({ tensor: { ...tensor, name: to } });
    if (named.length === 0 && !requested.some(({ to }) => to === tensor.name)) arriving.push({ tensor });
  }
  for (const { from, to } of requested) {
    const tensor = request.find((one) => one.name === from);
    if (tensor !== undefined) arriving.push({ tensor: { ...tensor, name: to }, inRequest: from });
  }
  return arriving;
}

/** Whether two edges bring one tensor of the request: then it arrives once, however many lead to the node. */
export function sameOfRequest(a: Carried<unknown>, b: Carried<unknown>): boolean {
  return a.inRequest !== undefined && a.inRequest === b.inRequest;
}
