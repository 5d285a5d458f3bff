import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { modelServingSpec } from "../../../crds/model-serving.ts";
import type { KubeObject } from "../../../operator/engine/objects.ts";
import { judge } from "../../../operator/model-serving/analysis.ts";
import { eventually } from "../../support/eventually.ts";
import {
  bodyOf,
  digitsModel,
  heldOut,
  infer,
  isReady,
  portOf,
  reportOf,
  type Stand,
  standOf,
} from "./stand.ts";

/** From the verdict, or from a person's word, to the last router. */
const BOUND_MILLISECONDS = 5000;

const specOf = (model: string) => ({
  model: digitsModel(model),
  replicas: 1,
  termination: { preStopSeconds: 0, drainSeconds: 1 },
  traffic: { routerReplicas: 2 },
  canary: {
    steps: [{ weightPercent: 50, holdSeconds: 600 }],
    analysis: {
      minRequests: 10,
      maxErrorPerMille: 10,
      // Far above what a small model takes on a busy machine, below what the slow one takes.
      maxP99Milliseconds: 250,
      divergence: { mirrorPercent: 50, maxPerMille: 300 },
    },
  },
});
const NAMES = ["broken-erring", "broken-slow", "broken-wrong", "aborted"];

let stand: Stand;
beforeAll(async () => {
  stand = await standOf("aborted", specOf("v1"));
  for (const name of NAMES) await stand.apply(name, specOf("v1"));
  await Promise.all(NAMES.map((name) => stand.settled(name, isReady, "Ready")));
});
afterAll(() => stand?.stop());

describe("a canary that is taken back, with two routers", () => {
  const broken = ["broken-erring", "broken-slow", "broken-wrong"];
  test.concurrent.each(broken)(
    "%s: no router sends it anything 5 s after what they saw was too bad",
    async (name) => {
      const routers = await twoRouters(name);
      await stand.apply(name, specOf(name));
      const load = startLoad(name, routers);
      try {
        // Judged here by the routers' own counts, since the operator only looks once a second.
        const failedAt = await eventually("a bad verdict", () => verdictOf(name, routers), 120_000);
        await toldAndPrinted(name, routers, failedAt);
        const { lastRollout } = await stand.settled(
          name,
          (now) => now.lastRollout?.result === "RolledBack" && isReady(now),
          "rolled back",
        );
        expect(lastRollout?.reason).toMatch(/^(TooManyErrors|TooSlow|AnswersDiffer)$/);
      } finally {
        await load.stop();
      }
    },
  );

  test.concurrent("aborted by a person: no router sends it anything 5 s later", async () => {
    const name = "aborted";
    const routers = await twoRouters(name);
    await stand.apply(name, specOf("v2"));
    const { canary } = await stand.settled(name, (now) => now.canary?.weightPercent === 50, "at 50 %");
    const askedAt = performance.now();
    await stand.act(name, "abort", canary?.revision ?? "");
    await toldAndPrinted(name, routers, askedAt);
    await stand.settled(name, (now) => now.lastRollout?.result === "Aborted" && isReady(now), "aborted");
  });
});

function twoRouters(name: string): Promise<readonly KubeObject[]> {
  return eventually("two routers", async () => {
    const found = await stand.pods(name, "router");
    return found.length === 2 && found;
  });
}

/** Requests to each router, one after another, until it is stopped; what the broken model answers is no matter. */
function startLoad(name: string, routers: readonly KubeObject[]) {
  let going = true;
  const clients = routers.map(async (router) => {
    for (let shot = 0; going; shot = (shot + 1) % heldOut.length) {
      const answer = await infer(portOf(router, "http"), name, bodyOf(heldOut.slice(shot, shot + 1)));
      await answer.arrayBuffer();
      await delay(20);
    }
  });
  return {
    stop: async () => {
      going = false;
      await Promise.all(clients);
    },
  };
}

/** When the routers together have seen enough to fail the canary; undefined as long as they have not. */
async function verdictOf(name: string, routers: readonly KubeObject[]): Promise<number | undefined> {
  const status = await stand.status(name);
  // It may have been judged between two looks: then the verdict is no later than this.
  if (status?.canary?.phase === "RollingBack" || status?.lastRollout?.result === "RolledBack")
    return performance.now();
  const { canary, revision } = status ?? {};
  if (canary?.weightPercent !== 50 || revision === undefined) return undefined;
  const reports = (await Promise.all(routers.map(reportOf))).filter(
    ({ generation }) => generation === canary.generation,
  );
  const analysis = modelServingSpec.parse(specOf(name)).canary?.analysis;
  if (analysis === undefined) return undefined;
  const evidence = { weightPercent: 50, canary: canary.revision, stable: revision, restarts: 0, ready: 1 };
  return judge({ ...evidence, analysis, reports }).result === "Fail" ? performance.now() : undefined;
}

async function toldAndPrinted(name: string, routers: readonly KubeObject[], since: number): Promise<void> {
  await eventually("both routers let go", async () => {
    const reports = await Promise.all(routers.map(reportOf));
    return reports.every(({ tracks }) => tracks.length === 1);
  });
  const took = performance.now() - since;
  console.log(`${name}: ${Math.round(took)} ms until both routers had let go`);
  expect(took).toBeLessThan(BOUND_MILLISECONDS);
}
