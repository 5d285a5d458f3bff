import { describe, expect, it } from "vitest";
import { routerGraph } from "../../../lib/config/router.ts";
import type { Datatype, Tensor, TensorMetadata } from "../../../lib/v2/types.ts";
import { executeGraph } from "../../../runtimes/router/graph/execute.ts";
import { fitGraph } from "../../../runtimes/router/graph/fit.ts";
import { planGraph, type Signature } from "../../../runtimes/router/graph/plan.ts";

/** Graphs in which a node gets tensors of the request itself: whether they fit, and how they run. */

type Models = Readonly<Record<string, readonly [inputs: TensorMetadata[], outputs: TensorMetadata[]]>>;

function meta(name: string, shape: number[] = [-1], datatype: Datatype = "FP32"): TensorMetadata {
  return { name, datatype, shape };
}

function fitOf(graph: unknown, models: Models) {
  const plan = planGraph(routerGraph.parse(graph));
  return fitGraph(
    plan,
    plan.nodes.map(({ name }): Signature | undefined => {
      const [inputs, outputs] = models[name] ?? [];
      return inputs === undefined || outputs === undefined ? undefined : { inputs, outputs };
    }),
  );
}

/** The messages, each beginning with the edge that is to blame. */
function problemsOf(graph: unknown, models: Models): string[] {
  return fitOf(graph, models).problems.map(({ message }) => message);
}

/** Runs a graph whose models answer one tensor an output, filled with the sum of all that they were given. */
async function run(graph: unknown, models: Models, request: Record<string, number>) {
  const plan = planGraph(routerGraph.parse(graph));
  const seen: Record<string, Record<string, unknown>> = {};
  const inputs = Object.entries(request).map(([name, value]) => scalar(name, value));
  const answers = await executeGraph(
    plan,
    { inputs, parameters: {} },
    {
      takes: (node, tensor) =>
        models[plan.nodes[node]?.name ?? ""]?.[0].some(({ name }) => name === tensor) ?? true,
      split: () => {
        throw new Error("nothing splits");
      },
      call: async (node, given) => {
        const name = plan.nodes[node]?.name ?? "";
        seen[name] = valuesOf(given);
        const sum = given.reduce((total, { data }) => total + Number(data[0]), 0);
        return (models[name]?.[1] ?? []).map((output) => scalar(output.name, sum));
      },
    },
    new AbortController().signal,
  );
  return { seen, answers: valuesOf(answers), inputs };
}

function scalar(name: string, value: number): Tensor {
  return { name, datatype: "FP32", shape: [1], data: Float32Array.of(value) };
}

function valuesOf(tensors: readonly Tensor[]): Record<string, unknown> {
  return Object.fromEntries(tensors.map(({ name, data }) => [name, data[0]]));
}

const ofRequest = (from: string, to = from) => ({ from, to, source: "Request" });

const cascade = (tensors: unknown[]) => ({
  entry: "small",
  nodes: [
    { name: "small", model: "small", routing: "Switch" },
    { name: "large", model: "large" },
    { name: "answer", combine: "Mean" },
  ],
  edges: [
    { from: "small", to: "large", when: { output: "sure", lessThan: 10 }, tensors },
    { from: "small", to: "answer" },
    { from: "large", to: "answer" },
  ],
});
const cascadeModels = (largeInputs = [meta("image")]): Models => ({
  small: [[meta("image")], [meta("y"), meta("sure"), meta("label", [-1], "BYTES")]],
  large: [largeInputs, [meta("y"), meta("label", [-1], "BYTES")]],
});

const sequence = (tensors: unknown[]) => ({
  entry: "a",
  nodes: [
    { name: "a", model: "a" },
    { name: "b", model: "b" },
  ],
  edges: [{ from: "a", to: "b", tensors }],
});

describe("a cascade", () => {
  it("fits, branches that never meet answering what could not be combined", () => {
    const { problems, signature } = fitOf(cascade([ofRequest("image")]), cascadeModels());
    expect(problems).toEqual([]);
    expect(signature.inputs).toEqual([meta("image")]);
    expect(signature.outputs.map(({ name }) => name)).toEqual(["y", "sure", "label"]);
  });

  it("gives the second model what the first was given, and only where the condition holds", async () => {
    const graph = cascade([ofRequest("image")]);
    const unsure = await run(graph, cascadeModels(), { image: 3 });
    expect(unsure.seen).toEqual({ small: { image: 3 }, large: { image: 3 } });
    const sure = await run(graph, cascadeModels(), { image: 30 });
    expect(sure.seen).toEqual({ small: { image: 30 } });
    expect(sure.answers).toMatchObject({ y: 30, sure: 30 });
  });

  it("does not fit without the request's tensor, nor with one that the second model takes otherwise", () => {
    expect(problemsOf(cascade([]), cascadeModels())[0]).toMatch(/^edge small -> large: none of the outputs/);
    expect(problemsOf(cascade([ofRequest("image")]), cascadeModels([meta("image", [-1, 64])]))).toEqual([
      'edge small -> large: the request\'s tensor "image" arrives as FP32 [-1], but "large" takes FP32 [-1, 64]',
    ]);
  });

  it("names the edge where a label of two branches that do meet can't be combined", () => {
    const always = cascade([ofRequest("image")]);
    const [small, ...others] = always.nodes;
    const nodes = [{ ...small, routing: "All" }, ...others];
    const edges = always.edges.map(({ when: _, ...edge }) => edge);
    expect(problemsOf({ ...always, nodes, edges }, cascadeModels())).toEqual([
      'edge large -> answer: BYTES tensors have no Mean ("label")',
    ]);
  });
});

describe("a tensor of the request on an edge", () => {
  it("arrives beside outputs, without its data being copied", async () => {
    const models: Models = {
      a: [[meta("image")], [meta("boxes")]],
      b: [[meta("boxes"), meta("original")], [meta("y")]],
    };
    const graph = sequence([ofRequest("image", "original")]);
    expect(problemsOf(graph, models)).toEqual([]);
    const { seen, answers } = await run(graph, models, { image: 2 });
    expect(seen.b).toEqual({ boxes: 2, original: 2 });
    expect(answers).toEqual({ y: 4 });

    const data = Float32Array.of(5);
    const given: Tensor[][] = [];
    await executeGraph(
      planGraph(routerGraph.parse(graph)),
      { inputs: [{ name: "image", datatype: "FP32", shape: [1], data }], parameters: {} },
      {
        takes: () => true,
        split: () => {
          throw new Error("nothing splits");
        },
        call: async (_, inputs) => {
          given.push([...inputs]);
          return [scalar("boxes", 1)];
        },
      },
      new AbortController().signal,
    );
    expect(given[1]?.find(({ name }) => name === "original")?.data).toBe(data);
  });

  it("wins over an output that keeps its name; a renamed output of that name is refused", async () => {
    const models: Models = {
      a: [[meta("image")], [meta("image"), meta("crop")]],
      b: [[meta("image")], [meta("y")]],
    };
    // Without the item, a's own output of that name is what b gets.
    expect(
      (await run(sequence([]), { ...models, a: [[meta("image")], [meta("image")]] }, { image: 1 })).seen.b,
    ).toEqual({ image: 1 });
    const graph = sequence([ofRequest("image")]);
    expect(problemsOf(graph, models)).toEqual([]);
    expect((await run(graph, models, { image: 1 })).seen.b).toEqual({ image: 1 });
    expect(problemsOf(sequence([ofRequest("image"), { from: "crop", to: "image" }]), models)).toEqual([
      'edge a -> b: "image" reaches "b" over a -> b as well',
    ]);
  });

  it("may be one that the entry does not take: the request must hold it, and the entry is not sent it", async () => {
    const models: Models = {
      a: [[meta("image")], [meta("boxes")]],
      b: [[meta("boxes"), meta("hint", [-1, 4], "INT64")], [meta("y")]],
    };
    const graph = sequence([ofRequest("hint")]);
    const { problems, signature } = fitOf(graph, models);
    expect(problems).toEqual([]);
    expect(signature.inputs).toEqual([meta("image"), meta("hint", [-1, 4], "INT64")]);
    expect((await run(graph, models, { image: 1, hint: 2 })).seen).toEqual({
      a: { image: 1 },
      b: { boxes: 1, hint: 2 },
    });
  });

  it("is described by the shape that fits all who take it, and refused where none does", () => {
    const graph = {
      entry: "a",
      nodes: ["a", "b", "c"].map((name) => ({ name, model: name })),
      edges: [
        { from: "a", to: "b", tensors: [ofRequest("x")] },
        { from: "a", to: "c", tensors: [ofRequest("x")] },
      ],
    };
    const models = (c: number[]): Models => ({
      a: [[meta("x", [-1, -1])], [meta("y")]],
      b: [[meta("x", [-1, 64])], [meta("yb")]],
      c: [[meta("x", c)], [meta("yc")]],
    });
    expect(fitOf(graph, models([8, -1]))).toMatchObject({
      problems: [],
      signature: { inputs: [meta("x", [8, 64])] },
    });
    expect(problemsOf(graph, models([-1, 32]))).toEqual([
      'edge a -> c: the request\'s tensor "x" arrives as FP32 [-1, 64], but "c" takes FP32 [-1, 32]',
    ]);
  });

  it("is one tensor, however many edges bring it", async () => {
    const diamond = (end: object) => ({
      entry: "in",
      nodes: [
        { name: "in", combine: "Mean" },
        { name: "a", model: "a" },
        { name: "b", model: "b" },
        { name: "end", ...end },
      ],
      edges: [
        { from: "in", to: "a" },
        { from: "in", to: "b" },
        { from: "a", to: "end", tensors: [ofRequest("x")] },
        { from: "b", to: "end", tensors: [ofRequest("x")] },
      ],
    });
    const models: Models = {
      a: [[meta("x", [-1], "BYTES")], [meta("ya")]],
      b: [[meta("x", [-1], "BYTES")], [meta("yb")]],
    };
    const end: Models = { end: [[meta("x", [-1], "BYTES"), meta("ya"), meta("yb")], [meta("z")]] };
    expect(problemsOf(diamond({ model: "end" }), { ...models, ...end })).toEqual([]);
    // BYTES can't be combined, and need not be.
    expect(problemsOf(diamond({ combine: "Mean" }), models)).toEqual([]);
    expect((await run(diamond({ model: "end" }), { ...models, ...end }, { x: 1 })).seen.end).toEqual({
      x: 1,
      ya: 1,
      yb: 1,
    });
    // Another of the request's tensors under that name is a second one.
    const other = diamond({ model: "end" });
    other.edges[3] = { from: "b", to: "end", tensors: [ofRequest("w", "x")] };
    expect(problemsOf(other, { ...models, ...end })).toEqual([
      'edge b -> end: "x" reaches "end" over a -> end as well',
    ]);
  });

  it("feeds a node by itself, after the node that the edge leaves", async () => {
    const models: Models = { a: [[meta("image")], [meta("ignored")]], b: [[meta("image")], [meta("y")]] };
    const { seen, answers } = await run(sequence([ofRequest("image")]), models, { image: 7 });
    expect(Object.keys(seen)).toEqual(["a", "b"]);
    expect(answers).toEqual({ y: 7 });
  });

  it("passes a node that only combines, and has the type that the model behind it wants", () => {
    const graph = (tensors: unknown[]) => ({
      entry: "a",
      nodes: [
        { name: "a", model: "a" },
        { name: "join", combine: "Max" },
        { name: "b", model: "b" },
      ],
      edges: [
        { from: "a", to: "join", tensors },
        { from: "join", to: "b", tensors: [{ from: "kept", to: "hint" }] },
      ],
    });
    const models: Models = {
      a: [[meta("image")], [meta("boxes")]],
      b: [[meta("boxes"), meta("hint", [3])], []],
    };
    expect(fitOf(graph([ofRequest("hint", "kept")]), models)).toMatchObject({
      problems: [],
      signature: { inputs: [meta("image"), meta("hint", [3])] },
    });
    expect(problemsOf(graph([ofRequest("hint", "kept"), ofRequest("who", "knows")]), models)).toEqual([
      'edge a -> join: no model takes the request\'s tensor "who", so its type is not known',
    ]);
    // What the edge behind brings from the request itself, the node between is not wanted to bring.
    const [first, second] = graph([ofRequest("who", "hint")]).edges;
    const behind = { ...graph([]), edges: [first, { ...second, tensors: [ofRequest("hint")] }] };
    expect(problemsOf(behind, models)).toEqual([
      'edge a -> join: no model takes the request\'s tensor "who", so its type is not known',
    ]);
  });

  it("must be an input of its node by the name that the edge gives it", () => {
    const models: Models = { a: [[meta("image")], [meta("y")]], b: [[meta("y")], []] };
    expect(problemsOf(sequence([ofRequest("image")]), models)).toEqual([
      'edge a -> b: "b" takes no tensor "image"',
    ]);
  });
});
