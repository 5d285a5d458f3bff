import { stat } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { newPrivateKey } from "../../../lib/signing/keys.ts";
import type { KubeObject } from "../../../operator/engine/objects.ts";
import { readRouterConfig } from "../../../operator/model-serving/read.ts";
import { httpRouterClient, type RouterPush } from "../../../operator/model-serving/router-client.ts";
import { openRouterSigner, type RouterSigner } from "../../../operator/model-serving/router-signer.ts";
import { signingKeyFile } from "../../../operator/standalone/signing-keys.ts";
import { eventually } from "../../support/eventually.ts";
import { conditionOf, digitsModel, isReady, portOf, reportOf, type Stand, standOf } from "./stand.ts";

const specOf = (model: string) => ({
  model: digitsModel(model),
  replicas: 1,
  termination: { preStopSeconds: 0, drainSeconds: 1 },
  traffic: { routerReplicas: 1 },
  canary: { steps: [{ weightPercent: 50, holdSeconds: 600 }], analysis: { minRequests: 10 } },
});

let stand: Stand;
beforeAll(async () => {
  stand = await standOf("digits", specOf("v1"));
  await stand.settled("digits", isReady, "Ready");
});
afterAll(() => stand?.stop());

const keyFile = () => join(stand.dir, ".naru", "signing-keys.pem");
const kept = () => openRouterSigner(signingKeyFile(join(stand.dir, ".naru")));

function theRouter(): Promise<KubeObject> {
  return eventually("one router", async () => {
    const routers = await stand.pods("digits", "router");
    return routers.length === 1 && routers[0];
  });
}

/** What the operator tells the router now. */
async function present(): Promise<RouterPush> {
  const [resource] = await stand.client.list({ apiVersion: "naru.dev/v1alpha1", kind: "ModelServing" });
  const maps = await stand.client.list({ apiVersion: "v1", kind: "ConfigMap" });
  const config = readRouterConfig(maps.find(({ metadata }) => metadata.name === "digits-router"));
  if (config === undefined) throw new Error("the router has no configuration");
  return {
    owner: { namespace: "default", name: "digits", uid: resource?.metadata.uid ?? "" },
    config,
  };
}

async function push(signer: RouterSigner, what: RouterPush) {
  const address = portOf(await theRouter(), "admin");
  return httpRouterClient(signer).configure(address, what, AbortSignal.timeout(5000));
}

describe("a router under naru up", () => {
  test("heeds the key in the state folder and nobody else's", async () => {
    expect((await stat(keyFile())).mode & 0o777).toBe(0o600);
    const now = await present();
    expect(await push(await kept(), now)).toBeUndefined();
    const stranger = await openRouterSigner({
      read: async () => newPrivateKey(),
      create: async (pem) => pem,
    });
    const stolen = { ...now, config: { ...now.config, generation: "stolen", sequence: 1_000_000 } };
    expect(await push(stranger, stolen)).toMatchObject({ code: "PushKeyUntrusted" });
    const report = await reportOf(await theRouter());
    expect(report).toMatchObject({
      generation: now.config.generation,
      refusedPushes: { PushKeyUntrusted: 1 },
    });
  });

  test("of a naru up that was started again heeds the same key", async () => {
    const before = await kept();
    stand = await stand.again();
    await stand.settled("digits", isReady, "Ready again");
    expect((await kept()).publicKeys).toEqual(before.publicKeys);
    expect((await stat(keyFile())).mode & 0o777).toBe(0o600);
    const takes = async () => (await push(before, await present())) === undefined;
    await eventually("the new router takes what the key from before has signed", takes, 45_000);
  });

  test("is led through a canary's step, and its status says so", async () => {
    await stand.apply("digits", specOf("v2"));
    const status = await stand.settled(
      "digits",
      (now) => now.canary?.weightPercent === 50 && conditionOf(now, "RoutersConfigured")?.status === "True",
      "at 50 %, with routers configured",
    );
    const report = await reportOf(await theRouter());
    expect(report.generation).toBe(status.canary?.generation);
    expect(report.sequence).toBe(status.routerConfig?.sequence);
    expect(report.refusedPushes).toEqual({});
  });
});
