import { describe, expect, it } from "vitest";
import type { Tensor, TensorMetadata } from "../../../lib/v2/types.ts";
import { eventually } from "../../support/eventually.ts";
import { infer, inferBody, outputOf, router, server } from "./harness.ts";
import type { TestModel } from "./v2-server.ts";

function meta(name: string): TensorMetadata {
  return { name, datatype: "FP32", shape: [-1] };
}

/** Applies `f` to its input and answers it under another name. */
function mapping(input: string, output: string, f: (value: number) => number): TestModel {
  return {
    inputs: [meta(input)],
    outputs: [meta(output)],
    infer: ({ inputs }): Tensor[] => {
      const x = inputs.find(({ name }) => name === input)?.data as Float32Array;
      return [{ name: output, datatype: "FP32", shape: [x.length], data: x.map(f) }];
    },
  };
}

const models = {
  double: mapping("x", "y", (v) => v * 2),
  triple: mapping("x", "y", (v) => v * 3),
  negate: mapping("values", "negated", (v) => -v),
};

const graphConfig = (generation: string, graph: unknown, extra: Record<string, unknown> = {}) => ({
  generation,
  model: "digits",
  stable: { revision: "r1", weightPercent: 100, graph },
  ...extra,
});

const node = (name: string, url: string, model: string, extra: Record<string, unknown> = {}) => ({
  name,
  backend: { http: url },
  model,
  ...extra,
});

const sequence = (url: string, tensors: unknown = [{ from: "y", to: "values" }]) => ({
  entry: "double",
  nodes: [node("double", url, "double"), node("negate", url, "negate")],
  edges: [{ from: "double", to: "negate", tensors }],
});

describe("a graph behind the router", () => {
  it("runs a sequence, describes itself by its nodes' metadata, and passes one deadline on", async () => {
    const backend = await server({ models });
    const { url, report } = await router(graphConfig("g1", sequence(backend.url)));
    await eventually("ready", async () => (await report()).ready);
    const answer = await infer(url, inferBody(1, 2));
    expect(answer.headers.get("naru-revision")).toBe("r1");
    expect(await answer.json()).toMatchObject({
      model_name: "digits",
      outputs: [{ name: "negated", datatype: "FP32", shape: [2], data: [-2, -4] }],
    });
    const calls = backend.seen.filter(({ url: path }) => path.endsWith("/infer"));
    expect(calls.map(({ url: path }) => path)).toEqual([
      "/v2/models/double/infer",
      "/v2/models/negate/infer",
    ]);
    const left = calls.map(({ headers }) => Number(headers["x-request-timeout-ms"]));
    expect(left[0]).toBeLessThanOrEqual(30_000);
    expect(left[1]).toBeLessThanOrEqual(left[0] ?? 0);
    // Node to node in binary: the second call's tensor comes behind its JSON.
    expect(calls[1]?.headers["inference-header-content-length"]).toBeDefined();

    expect(await (await fetch(`${url}/v2/models/digits`)).json()).toMatchObject({
      name: "digits",
      inputs: [{ name: "x", datatype: "FP32", shape: [-1] }],
      outputs: [{ name: "negated", datatype: "FP32", shape: [-1] }],
    });
    expect((await fetch(`${url}/v2/models/digits/ready`)).status).toBe(200);
    expect((await fetch(`${url}/v2/models/digits/versions/1/ready`)).status).toBe(200);
    for (const what of ["", "/ready", "/config", "/stats"]) {
      expect((await fetch(`${url}/v2/models/digits/versions/7${what}`)).status).toBe(404);
    }
    expect((await fetch(`${url}/v2/models/other/infer`, { method: "POST", body: inferBody(1) })).status).toBe(
      404,
    );
    expect((await report()).tracks[0]).toMatchObject({ requests: 1, errors: 0 });
  });

  it("runs an ensemble side by side, switches and splits", async () => {
    const backend = await server({ models });
    const ensemble = {
      entry: "in",
      nodes: [
        { name: "in", combine: "Mean" },
        node("a", backend.url, "double"),
        node("b", backend.url, "triple"),
        { name: "out", combine: "Mean" },
      ],
      edges: [
        { from: "in", to: "a" },
        { from: "in", to: "b" },
        { from: "a", to: "out" },
        { from: "b", to: "out" },
      ],
    };
    const { url, push, report } = await router(graphConfig("g1", ensemble));
    await eventually("ready", async () => (await report()).ready);
    expect(await outputOf(await infer(url, inferBody(2, 4)))).toEqual([5, 10]);

    const switching = {
      ...ensemble,
      nodes: ensemble.nodes.map((one) => (one.name === "in" ? { ...one, routing: "Switch" } : one)),
      edges: ensemble.edges.map((edge) =>
        edge.to === "b" ? { ...edge, when: { parameter: "tier", equals: "gold" } } : edge,
      ),
    };
    expect((await push(graphConfig("g2", switching))).status).toBe(200);
    const gold = JSON.stringify({
      inputs: [{ name: "x", datatype: "FP32", shape: [1], data: [2] }],
      parameters: { tier: "gold" },
    });
    expect(await outputOf(await infer(url, gold))).toEqual([6]);
    expect(await outputOf(await infer(url, inferBody(2)))).toEqual([4]);

    const splitting = {
      ...ensemble,
      nodes: ensemble.nodes.map((one) => (one.name === "in" ? { ...one, routing: "Splitter" } : one)),
      edges: ensemble.edges.map((edge) =>
        edge.from === "in" ? { ...edge, weightPercent: edge.to === "a" ? 75 : 25 } : edge,
      ),
    };
    expect((await push(graphConfig("g3", splitting))).status).toBe(200);
    const outputs: unknown[] = [];
    for (let n = 0; n < 20; n += 1)
      outputs.push(((await outputOf(await infer(url, inferBody(1)))) as number[])[0]);
    expect(outputs.filter((value) => value === 3)).toHaveLength(5);
  });

  it("is not ready, and names the edge, when tensors do not fit; a good one that is in force stays", async () => {
    const backend = await server({ models });
    const { admin, report, push, url } = await router(graphConfig("g1", sequence(backend.url, [])));
    const problem = await eventually("a problem", async () => (await report()).problem);
    expect(problem.code).toBe("InvalidGraph");
    expect(problem.message).toContain("double -> negate");
    expect((await fetch(`${admin}/readyz`)).status).toBe(503);
    expect((await infer(url)).status).toBe(503);

    expect((await push(graphConfig("g2", sequence(backend.url)))).status).toBe(200);
    expect((await report()).problem).toBeUndefined();
    const refused = await push(graphConfig("g3", sequence(backend.url, [])));
    expect(refused).toMatchObject({
      status: 202,
      body: { generation: "g2", ready: true, problem: { code: "InvalidGraph" } },
    });
    expect((await infer(url)).status).toBe(200);
    expect((await push(graphConfig("g2", sequence(backend.url)))).body.problem).toBeUndefined();
  });

  it("becomes ready once the nodes' models are there", async () => {
    const placeholder = await server({ models });
    placeholder.close();
    const { report } = await router(graphConfig("g1", sequence(placeholder.url)));
    await eventually(
      "a problem that passes",
      async () => (await report()).problem?.code === "BackendUnavailable",
    );
    await server({ models, port: placeholder.port });
    await eventually("ready", async () => (await report()).ready);
    expect((await report()).problem).toBeUndefined();
  });

  it("names the node that fails, whatever way it fails, and counts what is the client's as no error", async () => {
    let act: "refuse" | "fail" | "break" | "hang" | "serve" = "serve";
    const backend = await server({
      models,
      intercept: (request, response) => {
        if (act === "serve" || request.url !== "/v2/models/negate/infer") return false;
        if (act === "refuse") response.writeHead(400).end('{"error":"too many rows"}');
        else if (act === "fail") response.writeHead(500).end('{"error":"out of memory"}');
        else if (act === "break") request.socket.destroy();
        return true;
      },
    });
    const { url, report } = await router(
      graphConfig("g1", sequence(backend.url), { requestTimeoutMilliseconds: 300 }),
    );
    await eventually("ready", async () => (await report()).ready);
    const outcome = async (how: typeof act) => {
      act = how;
      const answer = await infer(url);
      return [answer.status, ((await answer.json()) as { error: string }).error];
    };
    expect(await outcome("refuse")).toEqual([400, 'node "negate": too many rows']);
    expect(await outcome("fail")).toEqual([500, 'node "negate": out of memory']);
    expect(await outcome("break")).toEqual([
      502,
      `node "negate": the backend's connection broke before its answer was there`,
    ]);
    expect(await outcome("hang")).toEqual([504, expect.stringContaining("deadline")]);
    await eventually("the node's work is cancelled", () => backend.open() === 0);
    expect((await report()).tracks[0]).toMatchObject({ requests: 4, errors: 3 });
    act = "serve";
    expect((await infer(url, "{}")).status).toBe(400);
    expect(
      (await infer(url, JSON.stringify({ inputs: [{ name: "z", datatype: "FP32", shape: [1], data: [1] }] })))
        .status,
    ).toBe(400);
    expect((await report()).tracks[0]).toMatchObject({ requests: 6, errors: 3 });
  });

  it("cancels its nodes' work when the client leaves", async () => {
    const backend = await server({
      models,
      intercept: (request) => request.url === "/v2/models/negate/infer",
    });
    const { url, report } = await router(graphConfig("g1", sequence(backend.url)));
    await eventually("ready", async () => (await report()).ready);
    const controller = new AbortController();
    const pending = fetch(`${url}/v2/models/digits/infer`, {
      method: "POST",
      body: inferBody(1),
      signal: controller.signal,
    });
    await eventually("the node has it", () =>
      backend.seen.some(({ url: path }) => path.includes("negate/infer")),
    );
    controller.abort();
    await expect(pending).rejects.toThrow();
    await eventually("the node's connection is closed", () => backend.open() === 0);
    expect(await report()).toMatchObject({ inFlight: 0, tracks: [{ requests: 1, errors: 0 }] });
  });

  it("is mirrored graph to graph", async () => {
    const good = await server({ models });
    const bad = await server({ models: { ...models, negate: mapping("values", "negated", (v) => v) } });
    const { url, report } = await router({
      ...graphConfig("g1", sequence(good.url)),
      canary: { revision: "r2", weightPercent: 0, graph: sequence(bad.url) },
      mirror: { percent: 100, compare: "Values" },
    });
    await eventually("ready", async () => (await report()).ready);
    expect(await outputOf(await infer(url, inferBody(0)), "negated")).toEqual([0]);
    await infer(url, inferBody(1));
    await eventually("compared", async () => (await report()).tracks[1]?.mirrored === 2);
    expect((await report()).tracks[1]).toMatchObject({ requests: 0, diverged: 1, mirrorErrors: 0 });
  });
});
