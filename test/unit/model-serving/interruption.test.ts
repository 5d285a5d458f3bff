import { describe, expect, test } from "vitest";
import { canary, deployed, settled, withCanary } from "./fixtures.ts";
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
    expect(world.events).toContain("StepInterrupted");
    expect(world.status.canary?.message).toContain("taken away");
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

test.each(["promote", "abort"])("an interrupted canary can be told to %s", async (verb) => {
  const world = await inStep();
  await evict(world);
  world.annotate({ "naru.dev/action": `${verb} ${world.status.canary?.revision} 1` });
  await world.tick();
  expect(world.status.canary).not.toHaveProperty("heldWeightPercent");
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
