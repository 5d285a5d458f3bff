import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { eventually } from "../../support/eventually.ts";
import { grpcClient, inferGrpc } from "./grpc-client.ts";
import { accuracyOf, digitsModel, heldOut, isReady, portOf, reportOf, type Stand, standOf } from "./stand.ts";

const termination = { preStopSeconds: 0, drainSeconds: 2 };
const canarySpec = (version: string) => ({
  model: digitsModel(version),
  termination,
  traffic: { routerReplicas: 1 },
  canary: {
    steps: [{ weightPercent: 50, holdSeconds: 600 }],
    analysis: { divergence: { mirrorPercent: 100, maxPerMille: 1000 } },
  },
});
const scaledSpec = (replicas: number) => ({
  model: digitsModel("v1"),
  replicas,
  termination,
  ingress: { connectionMaxAgeSeconds: 1 },
});

let stand: Stand;
beforeAll(async () => {
  stand = await standOf("weighed", canarySpec("v1"));
  await stand.apply("scaled", scaledSpec(1));
  await Promise.all(["weighed", "scaled"].map((name) => stand.settled(name, isReady, "Ready")));
});
afterAll(() => stand?.stop());

/** One client that calls without a pause; keeps what was no good answer. */
function startCalls(address: string, model: string) {
  const client = grpcClient(address);
  const lost: unknown[] = [];
  let [answered, going] = [0, true];
  const images = heldOut.slice(0, 20);
  const calls = (async () => {
    while (going) {
      try {
        const { outputs } = await inferGrpc(client, model, images);
        const scores = outputs.find(({ name }) => name === "scores")?.data as Float32Array;
        if (accuracyOf(scores, images) < 0.8) lost.push("wrong digits");
        answered += 1;
      } catch (error) {
        lost.push(error);
      }
    }
    client.close();
  })();
  return {
    lost,
    answered: () => answered,
    stop: async () => {
      going = false;
      await calls;
    },
  };
}

/** Requests that a pod's own server has answered. */
async function servedBy(pod: Parameters<typeof portOf>[0], model: string): Promise<number> {
  const answer = await fetch(`http://${portOf(pod, "http")}/v2/models/${model}/stats`);
  const { model_stats } = (await answer.json()) as { model_stats: { inference_count: number }[] };
  return model_stats.reduce((sum, { inference_count }) => sum + Number(inference_count), 0);
}

describe("gRPC clients, by naru up", () => {
  test("in a canary their calls are split, counted and mirrored, and none is lost", async () => {
    const calls = startCalls(await stand.address("weighed", "grpc"), "weighed");
    try {
      await stand.apply("weighed", canarySpec("v2"));
      const { canary, revision } = await stand.settled(
        "weighed",
        (now) => now.canary?.weightPercent === 50,
        "at 50 %",
      );
      const [router] = await stand.pods("weighed", "router");
      if (router === undefined) throw new Error("there is no router");
      const seen = await eventually("both counted, some mirrored", async () => {
        const { tracks } = await reportOf(router);
        const of = (name: string | undefined) => tracks.find((track) => track.revision === name);
        const [old, next] = [of(revision), of(canary?.revision)];
        if (old === undefined || next === undefined) return undefined;
        const mirrored = old.mirrored + next.mirrored;
        return old.requests > 10 && next.requests > 10 && mirrored > 5 && { old, next };
      });
      expect(seen.old.errors + seen.next.errors + seen.old.mirrorErrors + seen.next.mirrorErrors).toBe(0);
      // In turns by weight, whatever the connection.
      expect(Math.abs(seen.old.requests - seen.next.requests)).toBeLessThanOrEqual(2);
    } finally {
      await calls.stop();
    }
    expect(calls.lost).toEqual([]);
  });

  test("a scale-up reaches a client that is connected, within its connection's age, and nothing is lost", async () => {
    const before = await stand.pods("scaled", "inference");
    const calls = startCalls(await stand.address("scaled", "grpc"), "scaled");
    try {
      await eventually("an answer", () => calls.answered() > 0);
      await stand.apply("scaled", scaledSpec(2));
      await stand.settled("scaled", (now) => now.readyReplicas === 2, "two pods ready");
      const pods = await stand.pods("scaled", "inference");
      const added = pods.find(({ metadata }) => before.every((old) => old.metadata.uid !== metadata.uid));
      if (added === undefined) throw new Error("no pod was added");
      await eventually("the client to reach the new pod", async () => (await servedBy(added, "scaled")) > 0);
    } finally {
      await calls.stop();
    }
    expect(calls.lost).toEqual([]);
  });
});
