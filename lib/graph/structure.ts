import { alg, Graph } from "@dagrejs/graphlib";

/** The parts of an inference graph that its structure is made of; a CRD's graph and a router's both have them. */
export interface GraphShape {
  /** The node that takes the request. */
  readonly entry: string;
  readonly nodes: readonly { readonly name: string; readonly routing?: string | undefined }[];
  readonly edges: readonly {
    readonly from: string;
    readonly to: string;
    readonly tensors?: readonly { readonly to: string; readonly source?: string | undefined }[] | undefined;
    readonly when?: unknown;
    readonly weightPercent?: number | undefined;
  }[];
}

/** What is wrong with a graph. `at` is the node, or the edge as `from -> to`. */
export interface StructureProblem {
  readonly at: string;
  readonly message: string;
  readonly remedy: string;
}

export function edgeName(edge: { readonly from: string; readonly to: string }): string {
  return `${edge.from} -> ${edge.to}`;
}

/**
 * Everything about a graph that can be judged without knowing its models: names, the entry, dangling edges,
 * cycles, nodes that no request reaches, and choices that can't be made. Empty: the structure is sound.
 * The controller refuses a resource by it and the router a configuration, so that both say the same.
 */
export function structureProblems(shape: GraphShape): StructureProblem[] {
  const problems = [...nameProblems(shape), ...edgeProblems(shape)];
  // Cycles and reachability mean nothing over names that don't exist.
  if (problems.length > 0) return problems;
  return [...cycleProblems(shape), ...reachProblems(shape), ...choiceProblems(shape)];
}

/** Nodes in an order in which every edge leads onward. The graph must be sound. */
export function topologicalOrder(shape: GraphShape): string[] {
  return alg.topsort(build(shape));
}

function build(shape: GraphShape): Graph {
  const graph = new Graph({ directed: true });
  for (const node of shape.nodes) graph.setNode(node.name);
  for (const edge of shape.edges) graph.setEdge(edge.from, edge.to);
  return graph;
}

function nameProblems(shape: GraphShape): StructureProblem[] {
  const problems: StructureProblem[] = [];
  const seen = new Set<string>();
  for (const { name } of shape.nodes) {
    if (seen.has(name)) {
      problems.push({
        at: name,
        message: `two nodes are named ${quote(name)}`,
        remedy: "give each node a name of its own",
      });
    }
    seen.add(name);
  }
  if (!seen.has(shape.entry)) {
    problems.push({
      at: shape.entry,
      message: `the entry ${quote(shape.entry)} is not a node`,
      remedy: `set entry to one of: ${[...seen].join(", ")}`,
    });
  }
  return problems;
}

function edgeProblems(shape: GraphShape): StructureProblem[] {
  const names = new Set(shape.nodes.map((node) => node.name));
  const problems: StructureProblem[] = [];
  const seen = new Set<string>();
  for (const edge of shape.edges) {
    for (const end of [edge.from, edge.to]) {
      if (!names.has(end)) {
        problems.push({
          at: edgeName(edge),
          message: `the edge ${edgeName(edge)} dangles: ${quote(end)} is not a node`,
          remedy: `add a node named ${quote(end)} or remove the edge`,
        });
      }
    }
    if (seen.has(edgeName(edge))) {
      problems.push({
        at: edgeName(edge),
        message: `the edge ${edgeName(edge)} is there twice`,
        remedy: "merge the two: one edge may carry many tensors",
      });
    }
    seen.add(edgeName(edge));
    // Not a CEL rule: over lists in lists, the API server reckons its cost above what one rule may have.
    const given = (edge.tensors ?? []).filter(({ source }) => source === "Request").map(({ to }) => to);
    for (const name of new Set(given.filter((one, index) => given.indexOf(one) !== index))) {
      problems.push({
        at: edgeName(edge),
        message: `the edge ${edgeName(edge)} names two of the request's tensors ${quote(name)}`,
        remedy: "give each a name (to) of its own",
      });
    }
  }
  return problems;
}

function cycleProblems(shape: GraphShape): StructureProblem[] {
  const loops = shape.edges
    .filter((edge) => edge.from === edge.to)
    .map((edge) => ({
      at: edgeName(edge),
      message: `the edge ${edgeName(edge)} leads back to its own node`,
      remedy: "remove the edge: a graph runs each node once",
    }));
  const cycles = alg.findCycles(build(shape)).filter((cycle) => cycle.length > 1);
  return [
    ...loops,
    ...cycles.map((cycle) => {
      const members = new Set(cycle);
      const edges = shape.edges.filter((one) => members.has(one.from) && members.has(one.to)).map(edgeName);
      return {
        at: edges[0] ?? [...members].join(", "),
        message: `the edges ${edges.join(", ")} form a cycle`,
        remedy: "remove one of them: a graph runs each node once",
      };
    }),
  ];
}

function reachProblems(shape: GraphShape): StructureProblem[] {
  const reached = new Set(alg.preorder(build(shape), [shape.entry]));
  return shape.nodes
    .filter((node) => !reached.has(node.name))
    .map((node) => ({
      at: node.name,
      message: `no request reaches the node ${quote(node.name)} from the entry ${quote(shape.entry)}`,
      remedy: `lead an edge to ${quote(node.name)} or remove it`,
    }))
    .concat(
      // The entry takes the request's tensors; tensors from elsewhere would have to be there before it starts.
      shape.edges
        .filter((edge) => edge.to === shape.entry && edge.from !== edge.to)
        .filter((edge) => !reached.has(edge.from))
        .map((edge) => ({
          at: edgeName(edge),
          message: `the edge ${edgeName(edge)} leads into the entry`,
          remedy: "make the node that it comes from the entry",
        })),
    );
}

function choiceProblems(shape: GraphShape): StructureProblem[] {
  const problems: StructureProblem[] = [];
  for (const node of shape.nodes) {
    const leaving = shape.edges.filter((edge) => edge.from === node.name);
    const routing = node.routing ?? "All";
    if (routing === "Switch") {
      const defaults = leaving.filter((edge) => edge.when === undefined);
      const second = defaults[1];
      if (second !== undefined) {
        problems.push({
          at: edgeName(second),
          message: `the switch ${quote(node.name)} has two edges without a condition`,
          remedy: "keep one as the default and give the others a condition (when)",
        });
      }
    }
    if (routing === "Splitter") {
      const total = leaving.reduce((sum, edge) => sum + (edge.weightPercent ?? 0), 0);
      if (leaving.length > 0 && total !== 100) {
        problems.push({
          at: node.name,
          message: `the weights of the splitter ${quote(node.name)} sum to ${total} percent`,
          remedy: "make the weights of the edges that leave it sum to 100",
        });
      }
    }
    for (const edge of leaving) {
      if (edge.when !== undefined && routing !== "Switch") {
        problems.push({
          at: edgeName(edge),
          message: `the edge ${edgeName(edge)} has a condition, but ${quote(node.name)} is no switch`,
          remedy: `set routing: Switch on ${quote(node.name)} or remove the condition`,
        });
      }
      if (edge.weightPercent !== undefined && routing !== "Splitter") {
        problems.push({
          at: edgeName(edge),
          message: `the edge ${edgeName(edge)} has a weight, but ${quote(node.name)} is no splitter`,
          remedy: `set routing: Splitter on ${quote(node.name)} or remove the weight`,
        });
      }
    }
  }
  return problems;
}

function quote(name: string): string {
  return `"${name}"`;
}
