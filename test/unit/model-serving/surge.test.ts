import { describe, expect, test } from "vitest";
import { deployed, digest, model, settled, spec } from "./fixtures.ts";
import type { World } from "./world.ts";

const accelerated = { pod: { resources: { limits: { "nvidia.com/gpu": 1 } } } };

/** Rolls version 2 out where so many pods have a place. */
async function rollOut(world: World, fields: Record<string, unknown>, places: number): Promise<void> {
  world.pods.places = places;
  world.set(spec({ model: model(2), ...fields }));
  await world.until("rolled out", () => world.status.modelDigest === digest(2) && settled(world)());
}

const rollingUpdate = (world: World, name = "digits") =>
  world.objects.get("Deployment", name)?.spec?.strategy?.rollingUpdate;

describe("the surge of a rolling update", () => {
  test("adds a pod before it takes one away where there is a place, accelerators or not", async () => {
    const world = await deployed(accelerated);
    await rollOut(world, accelerated, 3);
    expect(rollingUpdate(world)).toEqual({ maxSurge: "25%", maxUnavailable: 0 });
    expect(world.events).not.toContain("NoSurge");
    expect(world.lost).toBe(0);
  });

  test("gives way where every accelerator is taken: the pods are replaced one by one, others serve", async () => {
    const world = await deployed({ ...accelerated, replicas: 3 });
    await rollOut(world, { ...accelerated, replicas: 3 }, 3);
    expect(world.events.filter((reason) => reason === "NoSurge")).toHaveLength(1);
    expect(world.lost).toBe(0);
    await world.tick();
    expect(rollingUpdate(world)).toEqual({ maxSurge: "25%", maxUnavailable: 0 });
  });

  test("gives way where a quota admits no accelerator more, as where there is none", async () => {
    const world = await deployed({ ...accelerated, replicas: 3 });
    world.pods.quota = 3;
    await rollOut(world, { ...accelerated, replicas: 3 }, 10);
    expect(world.events.filter((reason) => reason === "NoSurge")).toHaveLength(1);
    expect(world.lost).toBe(0);
    await world.tick();
    expect(rollingUpdate(world)).toEqual({ maxSurge: "25%", maxUnavailable: 0 });
  });

  test("takes no old pod away for new ones that are refused for what they are", async () => {
    const world = await deployed({ ...accelerated, replicas: 3 });
    world.pods.refused = "violates PodSecurity";
    world.set(spec({ model: model(2), ...accelerated, replicas: 3 }));
    await world.tick(20);
    expect(world.podsOf("digits")).toHaveLength(3);
    expect(rollingUpdate(world)).toEqual({ maxSurge: "25%", maxUnavailable: 0 });
  });

  test("with one replica and one accelerator, says that nothing serves meanwhile before a request is lost", async () => {
    const world = await deployed({ ...accelerated, replicas: 1 });
    world.pods.places = 1;
    world.set(spec({ model: model(2), ...accelerated, replicas: 1 }));
    await world.until("a gap", () => world.lost > 0);
    expect(world.events).toContain("NoSurge");
    expect(world.condition("Progressing")?.message).toContain("nothing serves meanwhile");
    await world.reconcile();
    expect(world.condition("Ready")).toMatchObject({ status: "False", reason: "PodsNotReady" });
    expect(world.condition("Ready")?.message).toContain("2 replicas, or room for a second pod");
    await world.until("rolled out", settled(world));
    expect(world.status.modelDigest).toBe(digest(2));
    expect(world.condition("Ready")?.status).toBe("True");
  });

  test("without accelerators, an update without a place waits, says so, and loses nothing", async () => {
    const world = await deployed({ replicas: 1 });
    world.pods.places = 1;
    world.set(spec({ model: model(2), replicas: 1 }));
    await world.tick(30);
    expect(world.condition("Progressing")).toMatchObject({ status: "True", reason: "RollingUpdate" });
    expect(world.condition("Progressing")?.message).toContain("a pod has no place: no GPU is free");
    expect(rollingUpdate(world)).toEqual({ maxSurge: "25%", maxUnavailable: 0 });
    expect(world.lost).toBe(0);
  });

  test("of 0 with one replica is said as soon as it is asked for, once", async () => {
    const world = await deployed({ replicas: 1, availability: { maxSurge: 0 } });
    await world.tick(3);
    expect(world.events.filter((reason) => reason === "NoSurge")).toHaveLength(1);
    expect(rollingUpdate(world)).toEqual({ maxSurge: 0, maxUnavailable: 1 });
  });

  test.each([["0%"], ["00%"], [0]])("of %s still lets pods be replaced", async (maxSurge) => {
    const world = await deployed({ availability: { maxSurge } });
    expect(rollingUpdate(world)?.maxUnavailable).toBe(1);
  });

  test("gives way for the containers of a graph's steps as well", async () => {
    const container = {
      image: "step:1",
      httpPort: 9000,
      readiness: { httpPath: "/v2/health/ready" },
    };
    const graphOf = (image: string) => ({
      model: undefined,
      replicas: 1,
      graph: { entry: "pre", nodes: [{ name: "pre", container: { ...container, image } }] },
    });
    const world = await deployed({ ...accelerated, ...graphOf("step:1") });
    world.pods.places = 1;
    world.set(spec({ ...accelerated, ...graphOf("step:1"), server: { warmupRuns: 3 } }));
    await world.until("told", () => world.events.includes("NoSurge"));
    await world.until("rolled out", settled(world));
    expect(world.condition("Ready")?.status).toBe("True");
  });
});
