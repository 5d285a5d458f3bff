import { describe, expect, it } from "vitest";
import { decodeInferRequest, encodeInferRequest } from "../../../lib/v2/infer-request.ts";
import type { TensorMetadata } from "../../../lib/v2/types.ts";
import { eventually } from "../../support/eventually.ts";
import { infer, inferBody, outputOf, router, server } from "./harness.ts";
import { doubling, type TestModel } from "./v2-server.ts";

function meta(name: string): TensorMetadata {
  return { name, datatype: "FP32", shape: [-1] };
}

/** Adds its two inputs. */
const sum: TestModel = {
  inputs: [meta("x"), meta("more")],
  outputs: [meta("sum")],
  infer: ({ inputs }) => {
    const [x, more] = ["x", "more"].map(
      (wanted) => inputs.find(({ name }) => name === wanted)?.data as Float32Array,
    );
    const data = (x ?? new Float32Array(0)).map((value, i) => value + (more?.[i] ?? Number.NaN));
    return [{ name: "sum", datatype: "FP32", shape: [data.length], data }];
  },
};

describe("tensors of the request on a graph's edge", () => {
  it("go to the nodes that take them, in binary, under one deadline", async () => {
    const backend = await server({ models: { double: doubling, sum } });
    const cascade = {
      entry: "double",
      nodes: [
        { name: "double", model: "double", backend: { http: backend.url }, routing: "Switch" },
        { name: "sum", model: "sum", backend: { http: backend.url } },
        { name: "answer", combine: "Mean" },
      ],
      edges: [
        {
          from: "double",
          to: "sum",
          when: { output: "y", lessThan: 10 },
          tensors: ["x", "more"].map((name) => ({ from: name, to: name, source: "Request" })),
        },
        { from: "double", to: "answer" },
        { from: "sum", to: "answer" },
      ],
    };
    const { url, report } = await router({
      generation: "g1",
      model: "digits",
      stable: { revision: "r1", weightPercent: 100, graph: cascade },
    });
    await eventually("ready", async () => (await report()).ready);
    expect(await (await fetch(`${url}/v2/models/digits`)).json()).toMatchObject({
      inputs: [meta("x"), meta("more")],
    });
    const tensors = (x: number, more: number) => [
      { name: "x", datatype: "FP32" as const, shape: [1], data: Float32Array.of(x) },
      { name: "more", datatype: "FP32" as const, shape: [1], data: Float32Array.of(more) },
    ];
    const { body, headerLength } = encodeInferRequest(
      { inputs: tensors(4, 0.5), outputs: [], parameters: {} },
      { binary: true },
    );
    const binary = await fetch(`${url}/v2/models/digits/infer`, {
      method: "POST",
      headers: { "inference-header-content-length": String(headerLength) },
      body: Buffer.from(body),
    });
    expect(await outputOf(binary, "sum")).toEqual([4.5]);
    const [first, second] = backend.seen
      .filter(({ url: path }) => path.endsWith("/infer"))
      .map(({ body: sent, headers }) => ({
        names: decodeInferRequest(sent, Number(headers["inference-header-content-length"])).inputs.map(
          ({ name }) => name,
        ),
        left: Number(headers["x-request-timeout-ms"]),
      }));
    expect(first?.names).toEqual(["x"]);
    expect(second?.names).toEqual(["x", "more"]);
    expect(second?.left).toBeLessThanOrEqual(first?.left ?? 0);

    const json = (x: number) =>
      infer(url, JSON.stringify({ inputs: tensors(x, 0.5).map((one) => ({ ...one, data: [...one.data] })) }));
    expect(await outputOf(await json(1), "sum")).toEqual([1.5]);
    expect(await outputOf(await json(5), "y")).toEqual([10]);
    const lacking = await infer(url, inferBody(1));
    expect([lacking.status, await lacking.json()]).toEqual([400, { error: 'the input "more" is missing' }]);
  });
});
