import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type GraphShape, structureProblems, topologicalOrder } from "../../../lib/graph/structure.ts";

function shape(entry: string, nodes: string[], edges: [string, string][]): GraphShape {
  return {
    entry,
    nodes: nodes.map((name) => ({ name })),
    edges: edges.map(([from, to]) => ({ from, to })),
  };
}

describe("the structure of a graph", () => {
  it("is sound for a diamond, and orders it", () => {
    const diamond = shape(
      "a",
      ["d", "c", "b", "a"],
      [
        ["a", "b"],
        ["a", "c"],
        ["b", "d"],
        ["c", "d"],
      ],
    );
    expect(structureProblems(diamond)).toEqual([]);
    const order = topologicalOrder(diamond);
    expect(order[0]).toBe("a");
    expect(order[3]).toBe("d");
  });

  it("refuses an edge that names two of the request's tensors alike, and lets outputs be", () => {
    const edge = (source?: string) => {
      const tensors = ["p", "q"].map((from) => ({ from, to: "x", source }));
      return { ...shape("a", ["a", "b"], []), edges: [{ from: "a", to: "b", tensors }] };
    };
    expect(structureProblems(edge("Request"))).toEqual([
      {
        at: "a -> b",
        message: 'the edge a -> b names two of the request\'s tensors "x"',
        remedy: "give each a name (to) of its own",
      },
    ]);
    // A mean of two outputs of one node is what a combining node may be asked for.
    expect(structureProblems(edge("Output"))).toEqual([]);
    expect(structureProblems(edge())).toEqual([]);
  });

  it("wants a node reached by an edge, even if all that it gets is the request's", () => {
    const fed = [{ from: "p", to: "x", source: "Request" }];
    const loop = {
      ...shape("a", ["a", "b", "c"], []),
      edges: [
        { from: "b", to: "c", tensors: fed },
        { from: "c", to: "b", tensors: fed },
      ],
    };
    expect(structureProblems(loop).map(({ message }) => message)).toEqual([
      "the edges b -> c, c -> b form a cycle",
      'no request reaches the node "b" from the entry "a"',
      'no request reaches the node "c" from the entry "a"',
    ]);
  });

  it("names a cycle's edges", () => {
    const problems = structureProblems(
      shape(
        "a",
        ["a", "b", "c"],
        [
          ["a", "b"],
          ["b", "c"],
          ["c", "b"],
        ],
      ),
    );
    expect(problems.map((problem) => problem.message)).toEqual(["the edges b -> c, c -> b form a cycle"]);
  });

  it("names an edge that leads back to its own node", () => {
    const problems = structureProblems(
      shape(
        "a",
        ["a", "b"],
        [
          ["a", "b"],
          ["b", "b"],
        ],
      ),
    );
    expect(problems).toHaveLength(1);
    expect(problems[0]?.at).toBe("b -> b");
  });

  it("names a dangling edge, a missing entry, a double node and a double edge", () => {
    expect(structureProblems(shape("a", ["a"], [["a", "z"]]))[0]?.message).toContain("a -> z dangles");
    expect(structureProblems(shape("q", ["a"], []))[0]?.at).toBe("q");
    expect(structureProblems(shape("a", ["a", "a"], []))[0]?.message).toContain('two nodes are named "a"');
    const twice = shape(
      "a",
      ["a", "b"],
      [
        ["a", "b"],
        ["a", "b"],
      ],
    );
    expect(structureProblems(twice)[0]?.message).toContain("twice");
  });

  it("names a node that no request reaches, and an edge into the entry", () => {
    expect(structureProblems(shape("a", ["a", "b"], []))[0]?.at).toBe("b");
    const into = structureProblems(shape("b", ["a", "b"], [["a", "b"]]));
    expect(into.map((problem) => problem.at)).toContain("a -> b");
  });

  it("refuses weights that do not sum to 100, and conditions or weights where nothing is chosen", () => {
    const splitter: GraphShape = {
      entry: "a",
      nodes: [{ name: "a", routing: "Splitter" }, { name: "b" }, { name: "c" }],
      edges: [
        { from: "a", to: "b", weightPercent: 30 },
        { from: "a", to: "c", weightPercent: 60 },
      ],
    };
    expect(structureProblems(splitter)[0]?.message).toContain("sum to 90 percent");
    const conditional: GraphShape = {
      entry: "a",
      nodes: [{ name: "a", routing: "All" }, { name: "b" }],
      edges: [{ from: "a", to: "b", when: { parameter: "x", equals: "1" }, weightPercent: 100 }],
    };
    expect(structureProblems(conditional)).toHaveLength(2);
    const undecided: GraphShape = {
      entry: "a",
      nodes: [{ name: "a", routing: "Switch" }, { name: "b" }, { name: "c" }],
      edges: [
        { from: "a", to: "b" },
        { from: "a", to: "c" },
      ],
    };
    expect(structureProblems(undecided)[0]?.at).toBe("a -> c");
  });

  it("finds a cycle in exactly those random graphs that have one", () => {
    const graphs = fc.integer({ min: 2, max: 8 }).chain((count) =>
      fc.record({
        count: fc.constant(count),
        edges: fc.uniqueArray(fc.tuple(fc.nat(count - 1), fc.nat(count - 1)), {
          maxLength: 16,
          selector: ([from, to]) => `${from} ${to}`,
        }),
      }),
    );
    fc.assert(
      fc.property(graphs, ({ count, edges }) => {
        const names = Array.from({ length: count }, (_, index) => `n${index}`);
        const found = structureProblems(
          shape(
            "n0",
            names,
            edges.map(([from, to]) => [`n${from}`, `n${to}`]),
          ),
        ).some((problem) => /cycle|back to its own/.test(problem.message));
        expect(found).toBe(hasCycle(count, edges));
      }),
      { numRuns: 300 },
    );
  });
});

/** Kahn's algorithm, independent of the library under test. */
function hasCycle(count: number, edges: readonly (readonly [number, number])[]): boolean {
  const incoming = Array.from({ length: count }, () => 0);
  for (const [, to] of edges) incoming[to] = (incoming[to] ?? 0) + 1;
  const free = incoming.flatMap((degree, node) => (degree === 0 ? [node] : []));
  let removed = 0;
  for (let node = free.pop(); node !== undefined; node = free.pop()) {
    removed += 1;
    for (const [from, to] of edges) {
      if (from !== node) continue;
      incoming[to] = (incoming[to] ?? 0) - 1;
      if (incoming[to] === 0) free.push(to);
    }
  }
  return removed < count;
}
