import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type RouterGraph, routerGraph } from "../../../lib/config/router.ts";
import { NaruError } from "../../../lib/errors.ts";
import type { Parameters, Tensor } from "../../../lib/v2/types.ts";
import { executeGraph, type GraphEffects } from "../../../runtimes/router/graph/execute.ts";
import { type GraphPlan, planGraph } from "../../../runtimes/router/graph/plan.ts";

function graph(input: unknown): GraphPlan {
  return planGraph(routerGraph.parse(input));
}

function tensor(name: string, ...values: number[]): Tensor {
  return { name, datatype: "FP32", shape: [values.length], data: Float32Array.from(values) };
}

/** Each model adds 1 to every tensor and answers it under `<node>_<name>`… unless `answers` says otherwise. */
function recording(
  plan: GraphPlan,
  answers: Record<string, (inputs: readonly Tensor[]) => Tensor[]> = {},
): GraphEffects & { calls: string[]; seen: Map<string, readonly Tensor[]> } {
  const calls: string[] = [];
  const seen = new Map<string, readonly Tensor[]>();
  return {
    calls,
    seen,
    takes: () => true,
    split: (node) => {
      const edge = plan.leaving[node]?.find((one) => (one.edge.weightPercent ?? 0) > 0);
      if (edge === undefined) throw new Error("nothing to split to");
      return edge;
    },
    async call(node, inputs) {
      const name = plan.nodes[node]?.name ?? "";
      calls.push(name);
      seen.set(name, inputs);
      await Promise.resolve();
      return (
        answers[name]?.(inputs) ??
        inputs.map((one) => tensor(one.name, ...Array.from(one.data as Float32Array, (value) => value + 1)))
      );
    },
  };
}

const never = new AbortController().signal;

function run(plan: GraphPlan, effects: GraphEffects, parameters: Parameters = {}) {
  return executeGraph(plan, { inputs: [tensor("x", 1, 2)], parameters }, effects, never);
}

describe("running a graph", () => {
  it("passes a sequence's tensors on, renamed as the edge says", async () => {
    const plan = graph({
      entry: "first",
      nodes: [
        { name: "first", model: "m1" },
        { name: "second", model: "m2" },
      ],
      edges: [{ from: "first", to: "second", tensors: [{ from: "x", to: "features" }] }],
    });
    const effects = recording(plan);
    expect(await run(plan, effects)).toEqual([tensor("features", 3, 4)]);
    expect(effects.calls).toEqual(["first", "second"]);
    expect(effects.seen.get("second")).toEqual([tensor("features", 2, 3)]);
  });

  const ensemble = (combine: string) =>
    graph({
      entry: "in",
      nodes: [
        { name: "in", combine: "Mean" },
        { name: "a", model: "a" },
        { name: "b", model: "b" },
        { name: "out", combine },
      ],
      edges: [
        { from: "in", to: "a" },
        { from: "in", to: "b" },
        { from: "a", to: "out" },
        { from: "b", to: "out" },
      ],
    });
  const two = { a: () => [tensor("y", 1, 8)], b: () => [tensor("y", 3, 4)] };

  it("combines an ensemble by mean and by maximum", async () => {
    const mean = ensemble("Mean");
    expect(await run(mean, recording(mean, two))).toEqual([tensor("y", 2, 6)]);
    const max = ensemble("Max");
    expect(await run(max, recording(max, two))).toEqual([tensor("y", 3, 8)]);
  });

  it("answers the union of the ends when nothing joins them", async () => {
    const plan = graph({
      entry: "in",
      nodes: [
        { name: "in", combine: "Mean" },
        { name: "a", model: "a" },
        { name: "b", model: "b" },
      ],
      edges: [
        { from: "in", to: "b" },
        { from: "in", to: "a" },
      ],
    });
    const effects = recording(plan, { a: () => [tensor("ya", 1)], b: () => [tensor("yb", 2)] });
    expect(await run(plan, effects)).toEqual([tensor("ya", 1), tensor("yb", 2)]);
  });

  const switching = (withDefault: boolean) =>
    graph({
      entry: "gate",
      nodes: [
        { name: "gate", model: "gate", routing: "Switch" },
        { name: "small", model: "small" },
        { name: "large", model: "large" },
        { name: "join", combine: "Mean" },
      ],
      edges: [
        { from: "gate", to: "large", when: { output: "hard", atLeast: 0.5 } },
        {
          from: "gate",
          to: "small",
          ...(withDefault ? {} : { when: { parameter: "tier", equals: "free" } }),
        },
        { from: "small", to: "join" },
        { from: "large", to: "join" },
      ],
    });

  it("follows the first condition that holds, and joins over the activated edges alone", async () => {
    const plan = switching(true);
    const hard = recording(plan, { gate: () => [tensor("hard", 0.9)], large: () => [tensor("y", 10)] });
    expect(await run(plan, hard)).toEqual([tensor("y", 10)]);
    expect(hard.calls).toEqual(["gate", "large"]);
    const easy = recording(plan, { gate: () => [tensor("hard", 0.1)], small: () => [tensor("y", 2)] });
    expect(await run(plan, easy)).toEqual([tensor("y", 2)]);
    expect(easy.calls).toEqual(["gate", "small"]);
  });

  it("answers 400 and names the switch when no condition holds and there is no default", async () => {
    const plan = switching(false);
    const effects = recording(plan, { gate: () => [tensor("hard", 0.1)], small: () => [tensor("y", 2)] });
    await expect(run(plan, effects, { tier: "paid" })).rejects.toMatchObject({
      code: "GraphNoBranch",
      status: 400,
      message: expect.stringContaining('"gate"'),
    });
    expect(await run(plan, effects, { tier: "free" })).toEqual([tensor("y", 2)]);
  });

  it("names the node that failed, keeps its status, and aborts the others", async () => {
    const plan = ensemble("Mean");
    let aborted = false;
    const effects: GraphEffects = {
      ...recording(plan),
      call(node, _inputs, signal) {
        if (plan.nodes[node]?.name === "a") {
          return Promise.reject(
            new NaruError({ code: "Busy", message: "queue full", remedy: "wait", status: 503 }),
          );
        }
        return new Promise((_, reject) => {
          signal.addEventListener("abort", () => {
            aborted = true;
            reject(signal.reason);
          });
        });
      },
    };
    await expect(run(plan, effects)).rejects.toMatchObject({
      code: "Busy",
      status: 503,
      message: 'node "a": queue full',
    });
    expect(aborted).toBe(true);
  });

  it("ends at once when its signal aborts, even if a call never does", async () => {
    const plan = ensemble("Mean");
    const controller = new AbortController();
    const effects: GraphEffects = { ...recording(plan), call: () => new Promise(() => undefined) };
    const running = executeGraph(
      plan,
      { inputs: [tensor("x", 1)], parameters: {} },
      effects,
      controller.signal,
    );
    controller.abort(new Error("deadline"));
    await expect(running).rejects.toThrow("deadline");
  });
});

describe("any graph", () => {
  /** Edges only lead to later nodes, so it is acyclic; every node but the first is reached by at least one. */
  const graphs = fc.integer({ min: 1, max: 12 }).chain((count) =>
    fc
      .record({
        parents: fc.array(fc.double({ min: 0, max: 0.999, noNaN: true }), {
          minLength: count,
          maxLength: count,
        }),
        extra: fc.array(fc.tuple(fc.nat(count - 1), fc.nat(count - 1)), { maxLength: 16 }),
        routing: fc.array(fc.constantFrom("All", "Switch", "Splitter"), {
          minLength: count,
          maxLength: count,
        }),
        modelled: fc.array(fc.boolean(), { minLength: count, maxLength: count }),
        picks: fc.array(fc.nat(1000), { minLength: count, maxLength: count }),
      })
      .map((raw) => ({ count, ...raw })),
  );

  it("runs each activated node once, after everything that leads to it, and never hangs", async () => {
    await fc.assert(
      fc.asyncProperty(graphs, async ({ count, parents, extra, routing, modelled, picks }) => {
        const pairs = new Map<string, [number, number]>();
        for (let node = 1; node < count; node += 1) {
          const parent = Math.floor((parents[node] ?? 0) * node);
          pairs.set(`${parent} ${node}`, [parent, node]);
        }
        for (const [a, b] of extra) if (a < b) pairs.set(`${a} ${b}`, [a, b]);
        const edges = [...pairs.values()];
        const config: RouterGraph = routerGraph.parse({
          entry: "n0",
          nodes: Array.from({ length: count }, (_, node) => ({
            name: `n${node}`,
            ...(modelled[node] === true ? { model: "m" } : { combine: "Max" }),
            routing: routing[node],
          })),
          edges: edges.map(([from, to]) => {
            const leaving = edges.filter((edge) => edge[0] === from);
            const position = leaving.findIndex((edge) => edge[1] === to);
            const picked = (picks[from] ?? 0) % leaving.length;
            // The switch's picked edge is its default, all others hang on a parameter that is not there.
            return {
              from: `n${from}`,
              to: `n${to}`,
              ...(routing[from] === "Switch" && position !== picked
                ? { when: { parameter: "no", equals: "1" } }
                : {}),
              ...(routing[from] === "Splitter" ? { weightPercent: position === picked ? 100 : 0 } : {}),
            };
          }),
        });
        const plan = planGraph(config);

        // What must be active, by a plain walk: the reference that the executor is held to.
        const active = new Set([0]);
        for (let node = 0; node < count; node += 1) {
          if (!active.has(node)) continue;
          const leaving = edges.filter((edge) => edge[0] === node);
          const taken =
            routing[node] === "All"
              ? leaving
              : leaving.slice((picks[node] ?? 0) % Math.max(1, leaving.length)).slice(0, 1);
          for (const [, to] of taken) active.add(to);
        }
        const finished = new Set<number>();
        const started: number[] = [];
        const effects: GraphEffects = {
          // A model here takes nothing, so that joins of models never meet a name twice.
          takes: (node) => plan.nodes[node]?.combine !== undefined,
          split: (node) => {
            const edge = plan.leaving[node]?.find((one) => one.edge.weightPercent === 100);
            if (edge === undefined) throw new Error("unreachable");
            return edge;
          },
          async call(node) {
            started.push(node);
            for (const { from } of plan.entering[node] ?? []) {
              if (active.has(from) && plan.nodes[from]?.model !== undefined) {
                const leads = edges.some(([a, b]) => a === from && b === node);
                expect(leads && finished.has(from)).toBe(true);
              }
            }
            await new Promise((resolve) => setImmediate(resolve));
            finished.add(node);
            return [tensor(`n${node}`, node)];
          },
        };
        await executeGraph(plan, { inputs: [tensor("x", 1)], parameters: {} }, effects, never).catch(
          (error) => {
            // Two ends that pass one tensor on answer it twice; fitGraph refuses such a graph beforehand.
            expect(error).toMatchObject({ code: "InvalidGraph" });
          },
        );
        const expected = [...active].filter((node) => modelled[node] === true).sort((a, b) => a - b);
        expect(started.toSorted((a, b) => a - b)).toEqual(expected);
      }),
      { numRuns: 200 },
    );
  });
});
