import { describe, expect, test } from "vitest";
import { analysis, canary, deployed, digest, model, settled, spec, withCanary } from "./fixtures.ts";
import type { Behaviour } from "./world/pods.ts";
import { World } from "./world.ts";

describe("rolling updates", () => {
  test("a first deploy is Ready only once a pod is, and names its revision only then", async () => {
    const world = new World(spec({ model: model(1) }));
    await world.reconcile();
    expect(world.condition("Ready")?.status).toBe("False");
    expect(world.status.revision).toBeUndefined();
    await world.until("ready", settled(world));
    expect(world.condition("Ready")).toMatchObject({ status: "True", reason: "Serving" });
    expect(world.status).toMatchObject({ modelDigest: digest(1), url: "http://digits.default.svc/v2" });
  });

  test("a new model replaces the pods in place, and Ready stays True", async () => {
    const world = await deployed();
    const first = world.status.revision;
    world.set(spec({ model: model(2) }));
    await world.tick();
    expect(world.condition("RolloutComplete")?.status).toBe("False");
    expect(world.status.revision).toBe(first);
    await world.until("rolled", settled(world));
    expect(world.status).toMatchObject({ modelDigest: digest(2) });
    expect(world.lost).toBe(0);
  });

  test("an operator with another runtime image restarts nothing, and the next change takes it up", async () => {
    const world = await deployed();
    const pods = world.podsOf("digits").map(({ name }) => name);
    world.settings = { ...world.settings, runtimeImage: "naru/runtime:2" };
    await world.tick(5);
    expect(world.podsOf("digits").map(({ name }) => name)).toEqual(pods);
    world.set(spec({ model: model(2) }));
    await world.tick();
    await world.until("rolled", settled(world));
    expect(world.status.runtimeImage).toBe("naru/runtime:2");
  });
});

test("an annotation for another runtime image that is empty asks for none", async () => {
  const world = await deployed();
  const image = () => world.objects.get("Deployment", "digits")?.spec?.template.spec?.containers[0]?.image;
  const before = image();
  world.annotate({ "naru.dev/runtime-image": "" });
  await world.tick(2);
  expect(image()).toBe(before);
});

test("of 0 replicas nobody says that they serve", async () => {
  const world = await deployed({ replicas: 0 });
  const { revision } = world.status;
  expect(world.condition("RolloutComplete")).toMatchObject({
    status: "True",
    message: `revision ${revision} is in place, with 0 replicas`,
  });
});

describe("canary", () => {
  test("good: it goes through its steps, is promoted, and no request is lost", async () => {
    const world = await deployed({ canary });
    world.set(withCanary(2));
    const weights = new Set<number>();
    await world.tick();
    await world.until("promoted", () => {
      const status = world.status.canary as { weightPercent: number } | undefined;
      if (status !== undefined) weights.add(status.weightPercent);
      return settled(world)();
    });
    expect([...weights]).toEqual([0, 10, 50, 100]);
    expect(world.status).toMatchObject({ modelDigest: digest(2), lastRollout: { result: "Promoted" } });
    expect(world.objects.get("Deployment", "digits-canary")).toBeUndefined();
    expect(world.lost).toBe(0);
  });

  test("a step begins only when every ready router has applied it", async () => {
    const world = await deployed({ canary });
    world.set(withCanary(2));
    await world.until("asked", () => world.status.canary?.wantedWeightPercent === 10);
    expect(world.status.canary).toMatchObject({ weightPercent: 0 });
    expect(world.status.canary).not.toHaveProperty("stepStartedAt");
    await world.until("begun", () => world.status.canary?.stepStartedAt !== undefined);
    expect(world.status.canary).toMatchObject({ weightPercent: 10 });
  });

  const causes: [string, Behaviour, Record<string, unknown>, string][] = [
    ["errs", { errorPerMille: 300 }, {}, "TooManyErrors"],
    ["is slow", { milliseconds: 400 }, {}, "TooSlow"],
    [
      "is slower than the stable revision",
      { milliseconds: 90 },
      { analysis: { ...analysis, maxP99IncreasePercent: 100 } },
      "SlowerThanStable",
    ],
    [
      "answers otherwise",
      { divergedPerMille: 900 },
      { analysis: { ...analysis, divergence: { mirrorPercent: 100, maxPerMille: 50 } } },
      "AnswersDiffer",
    ],
    ["crashes", { restarts: 1 }, {}, "CanaryRestarted"],
    ["never becomes ready", { stuck: true }, {}, "ProgressDeadlineExceeded"],
    [
      "has other bytes than its digest",
      { problem: { container: "fetch", code: "DigestMismatch", message: "other bytes" } },
      {},
      "DigestMismatch",
    ],
  ];
  test.each(causes)(
    "one that %s is taken back, told why, and not tried again",
    async (_, behaviour, extra, reason) => {
      const world = await deployed({ canary });
      const stable = world.status.revision;
      world.pods.behaviours.set(digest(2), behaviour);
      world.set(withCanary(2, extra));
      await world.tick();
      await world.until("rolled back", () => world.status.lastRollout?.result === "RolledBack");
      await world.until("removed", () => world.status.canary === undefined, 10);
      expect(world.status).toMatchObject({ revision: stable, lastRollout: { reason } });
      expect(world.condition("Ready")?.status).toBe("True");
      expect(world.condition("RolloutComplete")?.status).toBe("False");
      expect(world.condition("Degraded")).toMatchObject({ status: "True", reason: "RolledBack" });
      const pods = world.podsOf("digits").length;
      await world.tick(20);
      expect(world.objects.get("Deployment", "digits-canary")).toBeUndefined();
      expect(world.podsOf("digits")).toHaveLength(pods);
      for (const router of world.traffic.routers.values()) expect(router.config?.canary).toBeUndefined();
      expect(world.lost).toBe(0);
    },
  );
});
