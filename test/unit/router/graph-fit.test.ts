import { describe, expect, it } from "vitest";
import { routerGraph } from "../../../lib/config/router.ts";
import type { Datatype, TensorMetadata } from "../../../lib/v2/types.ts";
import { fitGraph } from "../../../runtimes/router/graph/fit.ts";
import { planGraph, type Signature } from "../../../runtimes/router/graph/plan.ts";

function meta(name: string, shape: number[], datatype: Datatype = "FP32"): TensorMetadata {
  return { name, datatype, shape };
}

function fitOf(graph: unknown, models: Record<string, [TensorMetadata[], TensorMetadata[]]>) {
  const plan = planGraph(routerGraph.parse(graph));
  const signatures = plan.nodes.map((node): Signature | undefined => {
    const [inputs, outputs] = models[node.name] ?? [];
    return inputs === undefined || outputs === undefined ? undefined : { inputs, outputs };
  });
  return fitGraph(plan, signatures);
}

const sequence = (tensors: { from: string; to: string }[]) => ({
  entry: "a",
  nodes: [
    { name: "a", model: "a" },
    { name: "b", model: "b" },
  ],
  edges: [{ from: "a", to: "b", tensors }],
});

describe("the fit of a graph's tensors", () => {
  it("takes a sequence whose tensors fit, -1 fitting anything, and says what the graph takes and answers", () => {
    const { problems, signature } = fitOf(sequence([{ from: "y", to: "x" }]), {
      a: [[meta("image", [-1, 64])], [meta("y", [-1, 10]), meta("other", [1])]],
      b: [[meta("x", [32, -1])], [meta("label", [-1], "BYTES")]],
    });
    expect(problems).toEqual([]);
    expect(signature).toEqual({
      inputs: [meta("image", [-1, 64])],
      outputs: [meta("label", [-1], "BYTES")],
    });
  });

  it.each([
    ["a datatype", [meta("y", [-1, 10], "FP64")], "FP64 [-1, 10]"],
    ["a dimension", [meta("y", [-1, 11])], "FP32 [-1, 11]"],
    ["a rank", [meta("y", [10])], "FP32 [10]"],
  ])("names the edge over which %s does not fit", (_, outputs, described) => {
    const { problems } = fitOf(sequence([{ from: "y", to: "x" }]), {
      a: [[meta("image", [-1, 64])], outputs],
      b: [[meta("x", [-1, 10])], []],
    });
    expect(problems).toHaveLength(1);
    expect(problems[0]?.at).toBe("a -> b");
    expect(problems[0]?.message).toBe(
      `edge a -> b: "x" arrives as ${described}, but "b" takes FP32 [-1, 10]`,
    );
  });

  it("names an edge that renames from or to what is not there, and one that brings nothing", () => {
    const models: Record<string, [TensorMetadata[], TensorMetadata[]]> = {
      a: [[], [meta("y", [1])]],
      b: [[meta("x", [1])], []],
    };
    expect(fitOf(sequence([{ from: "z", to: "x" }]), models).problems[0]?.message).toContain(
      'answers no tensor "z"',
    );
    expect(fitOf(sequence([{ from: "y", to: "q" }]), models).problems[0]?.message).toContain(
      'takes no tensor "q"',
    );
    expect(fitOf(sequence([]), models).problems[0]?.message).toContain("none of the outputs");
  });

  const ensemble = (combine: string) => ({
    entry: "in",
    nodes: [
      { name: "in", combine: "Mean" },
      { name: "a", model: "a" },
      { name: "b", model: "b" },
      { name: "out", combine },
    ],
    edges: [
      { from: "in", to: "a" },
      { from: "in", to: "b", tensors: [{ from: "x", to: "features" }] },
      { from: "a", to: "out" },
      { from: "b", to: "out" },
    ],
  });

  it("works out what an entry without a model must be given", () => {
    const { problems, signature } = fitOf(ensemble("Mean"), {
      a: [[meta("x", [-1, 4])], [meta("y", [-1, 2])]],
      b: [[meta("features", [-1, 4])], [meta("y", [-1, 2])]],
    });
    expect(problems).toEqual([]);
    expect(signature).toEqual({ inputs: [meta("x", [-1, 4])], outputs: [meta("y", [-1, 2])] });
  });

  it("refuses an entry's tensor that two nodes want differently, and outputs that can't be combined", () => {
    expect(
      fitOf(ensemble("Mean"), {
        a: [[meta("x", [-1, 4])], [meta("y", [-1, 2])]],
        b: [[meta("features", [-1, 5])], [meta("y", [-1, 2])]],
      }).problems[0]?.at,
    ).toMatch(/^in -> /);
    expect(
      fitOf(ensemble("Mean"), {
        a: [[meta("x", [-1, 4])], [meta("y", [-1, 2], "INT32")]],
        b: [[meta("features", [-1, 4])], [meta("y", [-1, 2], "INT32")]],
      }).problems[0]?.message,
    ).toContain("INT32 tensors have no Mean");
    expect(
      fitOf(ensemble("Max"), {
        a: [[meta("x", [-1, 4])], [meta("y", [-1, 2])]],
        b: [[meta("features", [-1, 4])], [meta("y", [-1, 3])]],
      }).problems[0]?.at,
    ).toBe("b -> out");
  });

  const join = (routing: string) => ({
    entry: "gate",
    nodes: [
      { name: "gate", model: "gate", routing },
      { name: "a", model: "a" },
      { name: "b", model: "b" },
      { name: "end", model: "end" },
    ],
    edges: [
      { from: "gate", to: "a", ...(routing === "Switch" ? { when: { parameter: "p", equals: "1" } } : {}) },
      { from: "gate", to: "b" },
      { from: "a", to: "end" },
      { from: "b", to: "end" },
    ],
  });
  const branches = (bAnswers: string): Record<string, [TensorMetadata[], TensorMetadata[]]> => ({
    gate: [[meta("x", [1])], [meta("x", [1])]],
    a: [[meta("x", [1])], [meta("y", [1]), meta("extra", [1])]],
    b: [[meta("x", [1])], [meta(bAnswers, [1]), meta("extra", [1])]],
    end: [[meta("y", [1])], [meta("z", [1])]],
  });

  it("lets two branches of a switch bring one tensor, but not two edges that are always followed", () => {
    expect(fitOf(join("Switch"), branches("y")).problems).toEqual([]);
    expect(fitOf(join("All"), branches("y")).problems[0]?.message).toContain(
      '"y" reaches "end" over a -> end as well',
    );
  });

  it("finds the branch under which an input would not arrive", () => {
    const models = branches("w");
    models.end = [[meta("y", [1]), meta("extra", [1])], []];
    const { problems } = fitOf(join("Switch"), models);
    expect(problems.map((problem) => problem.message)).toEqual([
      'edge b -> end: "end" takes "y", which does not arrive',
    ]);
  });

  it("refuses two ends that answer one name in one request", () => {
    const { problems } = fitOf(
      {
        entry: "in",
        nodes: [
          { name: "in", combine: "Mean" },
          { name: "a", model: "a" },
          { name: "b", model: "b" },
        ],
        edges: [
          { from: "in", to: "a" },
          { from: "in", to: "b" },
        ],
      },
      { a: [[meta("x", [1])], [meta("y", [1])]], b: [[meta("x", [1])], [meta("y", [1])]] },
    );
    expect(problems[0]?.message).toBe('the nodes "a" and "b" both answer an output "y"');
  });

  it("refuses a condition over an output that the node does not answer", () => {
    const graph = join("Switch");
    graph.edges[0] = { from: "gate", to: "a", when: { output: "score", atLeast: 1 } } as never;
    expect(fitOf(graph, branches("y")).problems[0]?.message).toContain('an output "score"');
  });
});
