import { describe, expect, test } from "vitest";
import { canary, deployed, settled, spec, withCanary } from "./fixtures.ts";
import type { World } from "./world.ts";

const steps = [{ weightPercent: 10, holdSeconds: 20 }];

async function inStep(): Promise<World> {
  const world = await deployed({ canary });
  world.set(withCanary(2, { steps }));
  await world.until("in step", () => world.status.canary?.stepStartedAt !== undefined);
  await world.tick();
  return world;
}

/** What a router does without pods to go to, for a second, is to try again: the operator is faster than that. */
async function evict(world: World): Promise<void> {
  world.pods.evict("digits-canary");
  await world.reconcile();
  await world.reconcile();
}

const interruptions = (world: World) => world.status.canary?.interruptions;

describe("a canary whose only pod is evicted in mid-step", () => {
  test("gets no requests until it has another, begins the step anew, and is promoted", async () => {
    const world = await inStep();
    await evict(world);
    expect(world.status.canary).toMatchObject({
      wantedWeightPercent: 0,
      interruptions: 1,
      phase: "Stepping",
    });
    expect(world.status.canary).not.toHaveProperty("stepStartedAt");
    expect(world.events).toContain("CanaryInterrupted");
    expect(world.status.canary?.message).toContain("taken away");
    // Left out altogether: of a graph, a router would wait for the nodes of what it is told of.
    for (const { config } of world.traffic.routers.values()) expect(config?.canary).toBeUndefined();
    await world.until("begun again", () => world.status.canary?.stepStartedAt !== undefined);
    expect(world.status.canary).toMatchObject({ weightPercent: 10, requests: 0 });
    await world.until("promoted", settled(world));
    expect(world.status.lastRollout?.result).toBe("Promoted");
    expect(world.condition("Degraded")?.status).toBe("False");
    expect(world.lost).toBe(0);
  });

  test("is not asked again for what a Deployment still counts of the pods that left", async () => {
    const world = await inStep();
    world.pods.evict("digits-canary");
    const counted = world.objects.get("Deployment", "digits-canary")?.status?.readyReplicas;
    await world.reconcile();
    expect(counted).toBe(1);
    expect(world.status.canary).toMatchObject({
      phase: "Stepping",
      wantedWeightPercent: 0,
      interruptions: 1,
    });
  });

  test("is taken back where that goes on: the fourth time it is judged as what it looks like", async () => {
    const world = await inStep();
    for (let time = 1; time <= 3; time++) {
      await evict(world);
      expect(interruptions(world)).toBe(time);
      await world.until("begun again", () => world.status.canary?.stepStartedAt !== undefined);
      await world.tick();
    }
    await evict(world);
    expect(world.status.lastRollout).toMatchObject({ result: "RolledBack", reason: "CanaryNotReady" });
  });

  test("is taken back when no other comes for longer than the progress deadline", async () => {
    const world = await inStep();
    world.pods.refused = "exceeded quota";
    await evict(world);
    await world.until("rolled back", () => world.status.lastRollout?.result === "RolledBack");
    expect(world.status.lastRollout?.reason).toBe("ProgressDeadlineExceeded");
    expect(world.status.lastRollout?.message).toContain("exceeded quota");
    expect(world.lost).toBe(0);
  });

  test("paused stays paused, and has its weight again when it has a pod again", async () => {
    const world = await inStep();
    world.annotate({ "naru.dev/action": `pause ${world.status.canary?.revision} 1` });
    await world.tick();
    expect(world.status.canary).toMatchObject({ phase: "Paused", weightPercent: 10 });
    await evict(world);
    expect(world.status.canary).toMatchObject({ phase: "Paused", wantedWeightPercent: 0 });
    await world.until("weight again", () => world.status.canary?.weightPercent === 10);
    await world.tick(30);
    expect(world.status.canary).toMatchObject({ phase: "Paused", weightPercent: 10, interruptions: 1 });
    expect(world.lost).toBe(0);
  });
});

test("a canary whose pod goes late in a step longer than the progress deadline is not too late for that", async () => {
  const world = await deployed({ canary });
  const long = { steps: [{ weightPercent: 10, holdSeconds: 100 }], progressDeadlineSeconds: 30 };
  world.set(withCanary(2, long));
  await world.until("in step", () => world.status.canary?.stepStartedAt !== undefined);
  await world.tick(40);
  await evict(world);
  expect(world.status.canary).toMatchObject({ phase: "Stepping", interruptions: 1 });
  await world.until("promoted", settled(world), 300);
  expect(world.status.lastRollout?.result).toBe("Promoted");
});

test("a canary whose pod goes while routers are told of its weight begins the step with none of the old numbers", async () => {
  const world = await inStep();
  const [router] = world.traffic.routers.values();
  if (router === undefined) throw new Error("there are routers");
  await world.until("requests", () => (world.status.canary?.requests ?? 0) > 0);
  world.pods.evict("digits-canary");
  // One router hears nothing until the canary is back.
  router.refusal = { code: "Busy", message: "not now" };
  await world.tick(2);
  delete router.refusal;
  await world.until("begun again", () => world.status.canary?.stepStartedAt !== undefined);
  expect(world.status.canary?.requests).toBe(0);
});

test("a canary that is being promoted and has not all requests yet gives them back with its only pod", async () => {
  const world = await deployed({ canary });
  world.set(withCanary(2, { steps }));
  await world.until("in step", () => world.status.canary?.stepStartedAt !== undefined);
  world.pods.places = world.podsOf("digits").length + 1;
  world.annotate({ "naru.dev/action": `promote ${world.status.canary?.revision} 1` });
  await world.until("promoting", () => world.status.canary?.phase === "Promoting");
  await evict(world);
  expect(world.status.canary).toMatchObject({ phase: "Promoting", wantedWeightPercent: 0 });
  await world.tick(5);
  world.pods.places = Number.POSITIVE_INFINITY;
  await world.until("promoted", settled(world));
  expect(world.status.lastRollout?.result).toBe("Promoted");
  expect(world.lost).toBe(0);
});

test.each(["promote", "abort"])("an interrupted canary can be told to %s", async (verb) => {
  const world = await inStep();
  await evict(world);
  world.annotate({ "naru.dev/action": `${verb} ${world.status.canary?.revision} 1` });
  await world.tick();
  expect(world.status.canary ?? {}).not.toHaveProperty("heldWeightPercent");
  await world.until("its end", () => world.status.canary === undefined);
  expect(world.status.lastRollout?.result).toBe(verb === "promote" ? "Promoted" : "Aborted");
  expect(world.lost).toBe(0);
});

describe("a canary that waits for the pods of its next step", () => {
  const growing = async () => {
    const world = await deployed({ canary });
    world.set(withCanary(2, { steps: [...steps, { weightPercent: 100, holdSeconds: 2 }] }));
    await world.until("in step", () => world.status.canary?.stepStartedAt !== undefined);
    world.pods.places = world.podsOf("digits").length + 1;
    await world.until("next step", () => world.status.canary?.step === 1);
    expect(world.status.canary).toMatchObject({ weightPercent: 10 });
    return world;
  };

  test("loses its requests with its pods as well", async () => {
    const world = await growing();
    await evict(world);
    expect(world.status.canary).toMatchObject({ wantedWeightPercent: 0, heldWeightPercent: 10 });
    world.pods.places = Number.POSITIVE_INFINITY;
    await world.until("promoted", settled(world));
    expect(world.lost).toBe(0);
  });

  test("has the weight that it had, and no more, while it is paused", async () => {
    const world = await growing();
    world.annotate({ "naru.dev/action": `pause ${world.status.canary?.revision} 1` });
    await world.tick();
    await evict(world);
    world.pods.places = Number.POSITIVE_INFINITY;
    await world.until("weight again", () => world.status.canary?.weightPercent === 10);
    expect(world.status.canary).toMatchObject({ phase: "Paused", wantedWeightPercent: 10 });
    expect(world.status.canary).not.toHaveProperty("heldWeightPercent");
    expect(world.lost).toBe(0);
  });
});

test("a graph's canary is interrupted by the pod of one of its steps: a request needs all of them", async () => {
  const step = (image: string) => ({ image, httpPort: 9000, readiness: { httpPath: "/v2/health/ready" } });
  const graphOf = (image: string) => ({
    model: undefined,
    graph: {
      entry: "pre",
      nodes: ["pre", "post"].map((name) => ({ name, container: step(image) })),
      edges: [{ from: "pre", to: "post" }],
    },
  });
  const world = await deployed({ ...graphOf("step:1"), canary });
  world.set(spec({ ...graphOf("step:2"), canary: { ...canary, steps } }));
  await world.until("in step", () => world.status.canary?.stepStartedAt !== undefined);
  world.pods.evict("digits-canary-step-pre");
  world.pods.refused = "no room yet";
  await world.reconcile();
  await world.reconcile();
  await world.tick(5);
  expect(world.status.canary).toMatchObject({ weightPercent: 0, interruptions: 1 });
  world.pods.refused = undefined;
  await world.until("its end", () => world.status.canary === undefined);
  expect(world.status.lastRollout?.result).toBe("Promoted");
  expect(world.lost).toBe(0);
});

describe("a canary whose own pod is no longer ready in mid-step", () => {
  test.each([
    ["though it runs", { stuck: true }],
    ["since it crashed", { stuck: true, restarts: 1 }],
  ])("is taken back at once, %s", async (_, behaviour) => {
    const world = await inStep();
    world.pods.behaviours.set("digits-canary", behaviour);
    await world.tick(2);
    expect(world.status.lastRollout?.result).toBe("RolledBack");
    expect(interruptions(world)).toBeUndefined();
  });

  test("is taken back at once if the pod in place of the evicted one crashes", async () => {
    const world = await inStep();
    await evict(world);
    world.pods.behaviours.set("digits-canary", { stuck: true, restarts: 1 });
    await world.until("rolled back", () => world.status.lastRollout?.result === "RolledBack");
    expect(world.status.lastRollout?.reason).toBe("CanaryRestarted");
  });
});

test("in a step of weight 0, where answers are only compared, an eviction interrupts nothing", async () => {
  const world = await deployed({ canary });
  world.set(withCanary(2, { steps: [{ weightPercent: 0, holdSeconds: 5 }, ...steps] }));
  await world.until("in step", () => world.status.canary?.stepStartedAt !== undefined);
  await evict(world);
  expect(interruptions(world)).toBeUndefined();
  expect(world.status.lastRollout?.result).not.toBe("RolledBack");
});
