import { describe, expect, test } from "vitest";
import { canary, deployed, withCanary } from "./fixtures.ts";
import type { World } from "./world.ts";

/** Pods of a Deployment that evictions may take at once, as Kubernetes computes it from its budget when all are ready. */
function evictable(world: World, name: string): number {
  const pods = world.objects.get("Deployment", name)?.spec?.replicas ?? 0;
  const budget = world.objects
    .all()
    .find((object) => object.kind === "PodDisruptionBudget" && object.metadata.name === name);
  if (budget === undefined) throw new Error(`no budget for ${name}`);
  const { minAvailable, maxUnavailable } = budget.spec as Record<string, number | string | undefined>;
  // Both percentages are rounded up.
  const count = (value: number | string) =>
    typeof value === "number" ? value : Math.ceil((Number.parseInt(value, 10) * pods) / 100);
  const left = minAvailable === undefined ? pods - count(maxUnavailable ?? 0) : count(minAvailable);
  return Math.max(0, pods - Math.max(left, 0));
}

describe("with a canary of one pod beside ten", () => {
  const inStep = async (availability: object): Promise<World> => {
    const fields = { replicas: 10, availability };
    const world = await deployed({ canary, ...fields });
    world.set(
      withCanary(2, { steps: [{ weightPercent: 10, holdSeconds: 600 }], progressDeadlineSeconds: 3600 }),
    );
    world.resource.spec = { ...(world.resource.spec as object), ...fields };
    await world.until("in step", () => world.status.canary?.stepStartedAt !== undefined);
    return world;
  };

  test.each<[object, number]>([
    [{}, 1],
    [{ minAvailable: 7 }, 3],
    [{ minAvailable: "70%" }, 3],
    [{ maxUnavailable: 3 }, 3],
    [{ maxUnavailable: "30%" }, 3],
  ])(
    "%j lets evictions take one router, the one canary pod and no more stable pods than it says",
    async (availability, stable) => {
      const world = await inStep(availability);
      expect(["digits", "digits-canary", "digits-router"].map((name) => evictable(world, name))).toEqual([
        stable,
        1,
        1,
      ]);
    },
  );

  test.each([{ minAvailable: 10 }, { minAvailable: "100%" }, { maxUnavailable: 0 }])(
    "%j keeps evictions from every serving pod, and lets them take one router",
    async (availability) => {
      const world = await inStep(availability);
      expect(["digits", "digits-canary", "digits-router"].map((name) => evictable(world, name))).toEqual([
        0, 0, 1,
      ]);
    },
  );
});
