import { expect, test } from "vitest";
import { canary, deployed, digest, settled, withCanary } from "./fixtures.ts";
import type { World } from "./world.ts";

type Fields = Record<string, unknown>;

/** What another version of the operator left behind, beside what this one knows. */
function rewrite(world: World, change: (status: Fields) => Fields): void {
  const status = structuredClone(world.resource.status) as Fields;
  world.resource = { ...world.resource, status: change(status) };
}

test("a revision that was taken back stays back when a newer operator has added to status", async () => {
  const world = await deployed({ canary });
  world.pods.behaviours.set(digest(2), { errorPerMille: 500 });
  world.set(withCanary(2));
  await world.until("rolled back", () => world.condition("Degraded")?.reason === "RolledBack");
  await world.until("taken back", () => world.status.canary === undefined);
  const { revision, failedRevisions } = world.status;
  rewrite(world, (status) => ({ ...status, fieldOfTheFuture: 1 }));
  await world.tick(20);
  expect(world.status).toMatchObject({ revision, failedRevisions });
  expect(world.condition("Degraded")?.reason).toBe("RolledBack");
  expect(
    world
      .podsOf("digits")
      .every(({ template }) => template.metadata?.labels?.["naru.dev/revision"] === revision),
  ).toBe(true);
});

test("a rollout goes on where it was when a newer operator has added to the status of its canary", async () => {
  const world = await deployed({ canary });
  world.set(withCanary(2));
  await world.until("second step", () => world.status.canary?.step === 1);
  const started = world.events.filter((reason) => reason === "RolloutStarted").length;
  const { revision } = world.status;
  rewrite(world, (status) => ({
    ...status,
    canary: { ...(status.canary as Fields), fieldOfTheFuture: true },
  }));
  await world.tick();
  expect(world.status).toMatchObject({ revision, canary: { step: 1 } });
  await world.until("promoted", settled(world));
  expect(world.events.filter((reason) => reason === "RolloutStarted")).toHaveLength(started);
  expect(world.lost).toBe(0);
});

test("what can be read of an older operator's status is kept: a new revision still begins beside the old one", async () => {
  const world = await deployed({ canary });
  const { revision } = world.status;
  rewrite(world, ({ effective, ...status }) => {
    const { routing: _, ...known } = effective as Fields;
    return { ...status, effective: known };
  });
  world.set(withCanary(2));
  await world.tick();
  expect(world.status).toMatchObject({ revision, canary: { phase: "Starting" } });
});
