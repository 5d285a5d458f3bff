import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { eventually } from "../../support/eventually.ts";
import { bodyOf, digitsModel, heldOut, infer, isReady, reportOf, type Stand, standOf } from "./stand.ts";

const NAME = "sleepy";
const body = bodyOf(heldOut.slice(0, 1));
const spec = {
  model: digitsModel("v1"),
  autoscaling: { minReplicas: 0, maxReplicas: 2, scaleToZeroAfterSeconds: 1 },
  traffic: { router: "Always", routerReplicas: 1, hold: { maxRequests: 2, seconds: 30 } },
  termination: { preStopSeconds: 0, drainSeconds: 1 },
};
let stand: Stand;
let address: string;

beforeAll(async () => {
  stand = await standOf(NAME, spec);
  await stand.settled(NAME, isReady, "Ready");
  address = await stand.address(NAME, "http");
});
afterAll(() => stand?.stop());

/** Without a pod of the model, one that drains included: it would still answer on connections that it has. */
const asleep = () =>
  eventually(
    "no pod",
    async () => {
      const pods = await stand.client.list({ apiVersion: "v1", kind: "Pod" });
      return pods.every(({ metadata }) => metadata.labels?.["naru.dev/role"] !== "inference");
    },
    30_000,
  );

describe("a model with minReplicas 0, by naru up", () => {
  test("leaves when it is idle; a request wakes it and is answered by the first pod", async () => {
    expect((await infer(address, NAME, body)).status).toBe(200);
    await asleep();
    const answer = await infer(address, NAME, body);
    expect(answer.status, await answer.text()).toBe(200);
    expect(await stand.pods(NAME, "inference")).toHaveLength(1);
  });

  test("as many requests as the bound wait for it; those beyond get 503 and Retry-After", async () => {
    await asleep();
    const [router] = await stand.pods(NAME, "router");
    if (router === undefined) throw new Error("there is no router");
    const waiting = [infer(address, NAME, body), infer(address, NAME, body)];
    await eventually("two held", async () => (await reportOf(router)).held === 2);
    const beyond = await infer(address, NAME, body);
    expect(beyond.status).toBe(503);
    expect(Number(beyond.headers.get("retry-after"))).toBeGreaterThan(0);
    expect(await beyond.json()).toMatchObject({ error: expect.any(String) });
    for (const answer of await Promise.all(waiting)) expect(answer.status).toBe(200);
  });
});
