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

/** The name under which a tensor arrives over an edge; more than one where the edge names it twice. */
export function renamed(edge: GraphEdge, tensor: string): string[] {
  const names = edge.tensors.filter((rename) => rename.from === tensor).map((rename) => rename.to);
  return names.length === 0 ? [tensor] : names;
}
