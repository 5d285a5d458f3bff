import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { grpcClient, inferGrpc } from "./grpc-client.ts";
import {
  accuracyOf,
  bodyOf,
  conditionOf,
  digitsModel,
  heldOut,
  infer,
  isReady,
  type Stand,
  startStand,
} from "./stand.ts";

/** examples/graph as a user serves it, and graphs that can't be served, beside it. */
const NAME = "digits-graph";
const images = heldOut.slice(0, 100);
let stand: Stand;

const modelNode = (name: string, version: string) => {
  const { uri, sha256 } = digitsModel(version);
  return { name, model: { uri: uri.replace("./", "../digits/"), sha256 } };
};
const twoNodes = (edges: object[]) => ({
  graph: { entry: "v1", nodes: [modelNode("v1", "v1"), modelNode("v2", "v2")], edges },
  traffic: { routerReplicas: 1 },
  termination: { preStopSeconds: 0, drainSeconds: 1 },
});

beforeAll(async () => {
  stand = await startStand("graph", "digits");
  await stand.settled(NAME, isReady, "Ready");
});
afterAll(() => stand?.stop());

describe("examples/graph by naru up", () => {
  test("answers over REST with both models' mean, and with v1 alone where the request asks for it", async () => {
    const address = await stand.address(NAME, "http");
    const ask = async (more: object) => {
      const answer = await infer(address, NAME, bodyOf(images, more));
      const body = await answer.text();
      expect(answer.status, body).toBe(200);
      return (JSON.parse(body) as { outputs: { name: string; data: number[] }[] }).outputs;
    };
    const [mean, fast] = [await ask({}), await ask({ parameters: { tier: "fast" } })];
    const probabilities = (outputs: { name: string; data: number[] }[]) =>
      outputs.find(({ name }) => name === "probabilities")?.data ?? [];
    expect(accuracyOf(probabilities(mean), images)).toBeGreaterThan(0.95);
    expect(accuracyOf(probabilities(fast), images)).toBeGreaterThan(0.9);
    expect(probabilities(mean)).not.toEqual(probabilities(fast));
    // A mean of probabilities is one.
    const sums = images.map((_, row) =>
      probabilities(mean)
        .slice(row * 10, row * 10 + 10)
        .reduce((sum, value) => sum + value, 0),
    );
    for (const sum of sums) expect(sum).toBeCloseTo(1, 4);

    const metadata = await (await fetch(`http://${address}/v2/models/${NAME}`)).json();
    expect(metadata).toMatchObject({ name: NAME, inputs: [{ name: "input", datatype: "FP32" }] });
  });

  test("answers over gRPC as well", async () => {
    const client = grpcClient(await stand.address(NAME, "grpc"));
    try {
      const answer = await inferGrpc(client, NAME, images);
      const found = answer.outputs.find(({ name }) => name === "probabilities");
      expect(accuracyOf(found?.data as Float32Array, images)).toBeGreaterThan(0.95);
    } finally {
      client.close();
    }
  });

  test("a cycle, a dangling edge and tensors that do not fit: InvalidGraph, with the edge named", async () => {
    await stand.apply(
      "circle",
      twoNodes([
        { from: "v1", to: "v2" },
        { from: "v2", to: "v1" },
      ]),
    );
    await stand.apply(
      "dangling",
      twoNodes([
        { from: "v1", to: "v2" },
        { from: "v2", to: "nowhere" },
      ]),
    );
    // v1 answers scores [n, 10], v2 takes an image: only the router can know.
    await stand.apply(
      "misfit",
      twoNodes([{ from: "v1", to: "v2", tensors: [{ from: "scores", to: "input" }] }]),
    );
    const refused = async (name: string) => {
      const status = await stand.settled(
        name,
        (now) => conditionOf(now, "Ready")?.reason === "InvalidGraph",
        "InvalidGraph",
      );
      expect(conditionOf(status, "Ready")?.status).toBe("False");
      return conditionOf(status, "Ready")?.message;
    };
    const [circle, dangling, misfit] = await Promise.all(["circle", "dangling", "misfit"].map(refused));
    expect(circle).toMatch(/v1 -> v2|v2 -> v1/);
    expect(dangling).toContain("v2 -> nowhere");
    expect(misfit).toContain("v1 -> v2");
  });
});
