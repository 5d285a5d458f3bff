import { describe, expect, test } from "vitest";
import { analysis, canary, deployed, digest, model, settled, spec, withCanary } from "./fixtures.ts";
import type { World } from "./world.ts";

/** A rollout of version 2 in the middle of its first step. */
async function inStep(): Promise<World> {
  const world = await deployed({ canary });
  world.set(withCanary(2, { steps: [{ weightPercent: 10, holdSeconds: 60 }] }));
  await world.until("in step", () => world.status.canary?.stepStartedAt !== undefined);
  return world;
}

const act = (world: World, verb: string, nonce = "1") =>
  world.annotate({ "naru.dev/action": `${verb} ${world.status.canary?.revision} ${nonce}` });

describe("what a person asks for", () => {
  test("abort takes the canary back within five seconds and is not Ready=False", async () => {
    const world = await inStep();
    act(world, "abort");
    await world.until(
      "removed",
      () => world.status.lastRollout?.result === "Aborted" && !world.status.canary,
      5,
    );
    expect(world.condition("Ready")?.status).toBe("True");
    expect(world.condition("Degraded")).toMatchObject({ status: "True", reason: "Aborted" });
    expect(world.lost).toBe(0);
  });

  test("retry tries an aborted revision once more, as another attempt", async () => {
    const world = await inStep();
    const revision = world.status.canary?.revision;
    act(world, "abort");
    await world.until(
      "removed",
      () => !world.status.canary && world.status.lastRollout?.result === "Aborted",
    );
    world.annotate({ "naru.dev/action": `retry ${revision} 2` });
    await world.reconcile();
    expect(world.status.canary).toMatchObject({ revision, attempt: 1, phase: "Starting" });
    act(world, "abort", "3");
    await world.until("removed again", () => !world.status.canary);
    await world.tick(5);
    expect(world.status.canary).toBeUndefined();
  });

  test("promote skips what is left of the steps, and loses nothing", async () => {
    const world = await inStep();
    act(world, "promote");
    await world.until("promoted", settled(world));
    expect(world.status.modelDigest).toBe(digest(2));
    expect(world.lost).toBe(0);
  });

  test("pause holds a rollout beyond its deadline, and resume lets it go on", async () => {
    const world = await deployed({ canary });
    world.set(withCanary(2));
    await world.until("in step", () => world.status.canary?.stepStartedAt !== undefined);
    act(world, "pause");
    await world.tick(60);
    expect(world.status.canary).toMatchObject({ phase: "Paused", weightPercent: 10 });
    act(world, "resume");
    await world.until("promoted", settled(world));
    expect(world.status.modelDigest).toBe(digest(2));
  });

  test("a command for another revision does nothing, and says so once", async () => {
    const world = await inStep();
    world.annotate({ "naru.dev/action": "abort another 1" });
    await world.tick(3);
    expect(world.status.canary?.phase).toBe("Stepping");
    expect(world.events.filter((reason) => reason === "ActionIgnored")).toHaveLength(1);
  });
});

describe("what happens in the middle of a rollout", () => {
  test("spec asks for another revision: the first is let go, the second is tried", async () => {
    const world = await inStep();
    world.set(withCanary(3));
    await world.until("promoted", settled(world));
    expect(world.status.modelDigest).toBe(digest(3));
    expect(world.events).toContain("Superseded");
    expect(world.lost).toBe(0);
  });

  test("spec goes back: the stable revision serves on, and nothing counts as failed", async () => {
    const world = await inStep();
    world.set(withCanary(1));
    await world.until("back", settled(world));
    expect(world.status).toMatchObject({ modelDigest: digest(1) });
    expect(world.status.failedRevisions).toBeUndefined();
    expect(world.condition("Degraded")?.status).toBe("False");
  });

  test("canary is removed from spec: the revision comes by a rolling update, without the router", async () => {
    const world = await inStep();
    world.set(spec({ model: model(2) }));
    await world.until("rolled", settled(world));
    expect(world.status).toMatchObject({ modelDigest: digest(2), effective: { routing: "Direct" } });
    expect(world.objects.get("Deployment", "digits-router")).toBeUndefined();
    expect(world.lost).toBe(0);
  });

  test("a router that starts anew counts anew: the step waits for its requests", async () => {
    const world = await inStep();
    for (const pod of world.podsOf("digits-router")) pod.leaving = true;
    await world.tick(6);
    expect(world.status.canary).toMatchObject({ phase: "Stepping" });
    expect(world.traffic.routers.size).toBe(2);
    for (const router of world.traffic.routers.values()) {
      expect(router.config?.generation).toBe(world.status.canary?.generation);
    }
  });

  test("a dead router that is not ready does not hold up a rollback", async () => {
    const world = await inStep();
    const [first] = world.traffic.routers.values();
    if (first !== undefined) first.dead = true;
    await world.tick();
    act(world, "abort");
    await world.until("removed", () => !world.status.canary, 5);
  });

  test("abort in mid-promotion keeps the canary at work until the stable pods are whole again", async () => {
    const world = await inStep();
    act(world, "promote");
    await world.until("stable pods change", () => world.status.canary?.weightPercent === 100);
    await world.tick(2);
    act(world, "abort", "2");
    await world.until("removed", () => !world.status.canary);
    expect(world.status).toMatchObject({ modelDigest: digest(1), lastRollout: { result: "Aborted" } });
    expect(world.lost).toBe(0);
  });
});

describe("going back", () => {
  test("to a promoted revision that is kept brings back the very same one", async () => {
    const world = await deployed();
    const first = world.status.revision;
    world.set(spec({ model: model(2) }));
    await world.tick();
    await world.until("second", settled(world));
    world.set(spec({ model: model(1) }));
    await world.tick();
    await world.until("first again", settled(world));
    expect(world.status.revision).toBe(first);
  });

  test("a failed revision that spec left and came back to is tried again", async () => {
    const world = await deployed({ canary });
    world.pods.behaviours.set(digest(2), { restarts: 1 });
    world.set(withCanary(2));
    await world.until(
      "rolled back",
      () => world.status.lastRollout?.result === "RolledBack" && !world.status.canary,
    );
    world.set(withCanary(1));
    await world.tick(2);
    expect(world.status.failedRevisions).toBeUndefined();
    world.pods.behaviours.clear();
    world.set(withCanary(2));
    await world.tick();
    await world.until("promoted", settled(world));
    expect(world.status.modelDigest).toBe(digest(2));
  });
});

describe("scaling and routing", () => {
  test("autoscaling switched on and off keeps the count that is there", async () => {
    const world = await deployed({ replicas: 3 });
    world.set(spec({ model: model(1), replicas: undefined, autoscaling: { maxReplicas: 8 } }));
    await world.tick(3);
    expect(world.objects.get("HorizontalPodAutoscaler", "digits")).toBeDefined();
    const deployment = world.objects.get("Deployment", "digits");
    expect(deployment?.spec?.replicas).toBe(3);
    if (deployment?.spec !== undefined) deployment.spec.replicas = 5;
    await world.tick(3);
    world.set(spec({ model: model(1), replicas: undefined }));
    await world.tick(3);
    expect(world.objects.get("HorizontalPodAutoscaler", "digits")).toBeUndefined();
    expect(world.objects.get("Deployment", "digits")?.spec?.replicas).toBe(5);
  });

  test("canary switched on and off under load loses nothing", async () => {
    const world = await deployed();
    world.set(spec({ model: model(1), canary }));
    await world.until("routed", () => world.status.effective?.routing === "Router");
    await world.until("settled", settled(world));
    world.set(spec({ model: model(1) }));
    await world.until("direct", () => world.status.effective?.routing === "Direct");
    await world.until("settled", settled(world));
    expect(world.lost).toBe(0);
    expect(world.objects.get("Deployment", "digits-router")).toBeUndefined();
  });

  test("idle, the last pod leaves; a held request wakes it", async () => {
    const autoscaling = { minReplicas: 0, maxReplicas: 4, scaleToZeroAfterSeconds: 10 };
    const world = await deployed({ replicas: undefined, autoscaling, traffic: { router: "Always" } });
    world.load = 0;
    await world.until("asleep", () => world.objects.get("Deployment", "digits")?.spec?.replicas === 0, 30);
    await world.tick(5);
    expect(world.condition("Ready")).toMatchObject({ status: "True", reason: "ScaledToZero" });
    world.load = 1;
    await world.until("awake", () => world.podsOf("digits").some((pod) => pod.ready), 6);
    expect(world.lost).toBe(0);
  });

  test("a graph comes in beside the model that it replaces, and its pods carry all its models", async () => {
    const world = await deployed();
    const nodes = [
      { name: "a", model: model(2) },
      { name: "b", model: model(3) },
    ];
    world.set(spec({ graph: { entry: "a", nodes, edges: [{ from: "a", to: "b" }] } }));
    await world.tick();
    await world.until("graph serves", settled(world));
    expect(world.status.effective?.routing).toBe("Router");
    for (const router of world.traffic.routers.values())
      expect(router.config?.stable.graph?.nodes).toHaveLength(2);
    expect(world.lost).toBe(0);
  });

  test("a graph with a cycle is refused with its edge, and what served goes on", async () => {
    const nodes = [
      { name: "a", model: model(2) },
      { name: "b", model: model(3) },
    ];
    const edges = [
      { from: "a", to: "b" },
      { from: "b", to: "a" },
    ];
    const world = await deployed();
    world.set(spec({ graph: { entry: "a", nodes, edges } }));
    await world.tick(3);
    expect(world.condition("Ready")?.status).toBe("True");
    expect(world.condition("Degraded")).toMatchObject({ status: "True", reason: "InvalidGraph" });
    expect(world.lost).toBe(0);

    const fresh = await deployed({ model: undefined, graph: { entry: "a", nodes, edges } }).catch(
      () => undefined,
    );
    expect(fresh).toBeUndefined();
  });
});

test("every state of a rollout is decided alike by an operator that has just started", async () => {
  // `decide` remembers nothing: what it answers follows from the resource and the world alone, at every step.
  const world = await deployed({ canary: { ...canary, analysis } });
  world.set(withCanary(2));
  for (let turn = 0; turn < 40; turn++) {
    const decision = await world.reconcile();
    const again = await world.decideAgain();
    expect(again.children).toEqual(decision.children);
    expect(again.status).toEqual(decision.status);
    expect(again.events).toEqual([]);
    await world.tick();
  }
  expect(world.status.modelDigest).toBe(digest(2));
});
