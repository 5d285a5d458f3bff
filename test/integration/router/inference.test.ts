import { describe, expect, it } from "vitest";
import { eventually } from "../../support/eventually.ts";
import { serveModels } from "../../support/inference-server.ts";
import { addSubModel, identityModel } from "../../support/onnx-models.ts";
import { writeOnnx } from "../../support/onnx-writer.ts";
import { outputOf, router } from "./harness.ts";

/** y = −x, of the same name and shape as the identity. */
const negation = writeOnnx({
  inputs: [{ name: "x", type: "FP32", shape: ["N", 4] }],
  outputs: [{ name: "y", type: "FP32", shape: ["N", 4] }],
  nodes: [{ op: "Neg", inputs: ["x"], outputs: ["y"] }],
});

const rows = (...names: string[]) =>
  JSON.stringify({
    inputs: names.map((name) => ({ name, datatype: "FP32", shape: [1, 4], data: [1, 2, 3, 4] })),
  });

const post = (url: string, body: string) => fetch(`${url}/v2/models/digits/infer`, { method: "POST", body });

describe("the router in front of the inference runtime", () => {
  it("judges a graph by the runtime's own metadata, and runs it", async () => {
    await using models = await serveModels({
      addsub: { bytes: addSubModel() },
      narrow: { bytes: identityModel("FP32", ["N", 3]) },
      negate: { bytes: negation },
    });
    const graph = (last: string) => ({
      entry: "addsub",
      nodes: [
        { name: "addsub", model: "addsub", backend: { http: models.url } },
        { name: "last", model: last, backend: { http: models.url } },
      ],
      edges: [{ from: "addsub", to: "last", tensors: [{ from: "sum", to: "x" }] }],
    });
    const config = (generation: string, last: string) => ({
      generation,
      model: "digits",
      stable: { revision: "r1", weightPercent: 100, graph: graph(last) },
    });
    const { url, report, push } = await router(config("g1", "narrow"));
    const problem = await eventually("a problem", async () => (await report()).problem);
    expect(problem.code).toBe("InvalidGraph");
    expect(problem.message).toBe(
      'edge addsub -> last: "x" arrives as FP32 [-1, 4], but "last" takes FP32 [-1, 3]',
    );

    expect((await push(config("g2", "negate"))).body).toMatchObject({ generation: "g2", ready: true });
    expect(await outputOf(await post(url, rows("a", "b")))).toEqual([-2, -4, -6, -8]);
    // The runtime's refusal of a wrong shape comes back as the client's mistake, with the node named.
    const wrong = JSON.stringify({
      inputs: ["a", "b"].map((name) => ({ name, datatype: "FP32", shape: [1, 3], data: [1, 2, 3] })),
    });
    const refused = await post(url, wrong);
    expect(refused.status).toBe(400);
    expect(((await refused.json()) as { error: string }).error).toMatch(/^node "addsub": /);
  });

  it("mirrors to it and sees that another model answers otherwise", async () => {
    await using stable = await serveModels({ digits: { bytes: identityModel("FP32") } });
    await using canary = await serveModels({ digits: { bytes: negation } });
    const { url, report, push } = await router({
      generation: "g1",
      model: "digits",
      stable: { revision: "r1", weightPercent: 100, backend: { http: stable.url } },
      canary: { revision: "r2", weightPercent: 0, backend: { http: canary.url } },
      mirror: { percent: 100, compare: "Argmax" },
    });
    expect(await outputOf(await post(url, rows("x")))).toEqual([1, 2, 3, 4]);
    await eventually("compared", async () => (await report()).tracks[1]?.mirrored === 1);
    expect((await report()).tracks[1]).toMatchObject({ diverged: 1, mirrorErrors: 0 });
    await push({
      generation: "g2",
      model: "digits",
      stable: { revision: "r1", weightPercent: 100, backend: { http: stable.url } },
      canary: { revision: "r2", weightPercent: 0, backend: { http: stable.url } },
      mirror: { percent: 100, compare: "Argmax" },
    });
    await post(url, rows("x"));
    await eventually("compared", async () => (await report()).tracks[1]?.mirrored === 1);
    expect((await report()).tracks[1]).toMatchObject({ diverged: 0, mirrorErrors: 0 });
  });

  it("passes its questions on, for clients that ask them through the router", async () => {
    await using models = await serveModels({ digits: { bytes: identityModel("FP32") } });
    const { url } = await router({
      generation: "g1",
      model: "digits",
      stable: { revision: "r1", weightPercent: 100, backend: { http: models.url } },
    });
    for (const path of [
      "/v2",
      "/v2/health/ready",
      "/v2/models/digits",
      "/v2/models/digits/ready",
      "/v2/models/digits/config",
      "/v2/models/digits/stats",
    ]) {
      expect([path, (await fetch(`${url}${path}`)).status]).toEqual([path, 200]);
    }
    const index = await fetch(`${url}/v2/repository/index`, { method: "POST", body: "{}" });
    expect(await index.json()).toMatchObject([{ name: "digits", state: "READY" }]);
  });
});
