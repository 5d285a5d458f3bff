import { describe, expect, test } from "vitest";
import type { ChildFailure } from "../../../operator/engine/kind.ts";
import { canary, deployed, digest, model, settled, spec, withCanary } from "./fixtures.ts";
import { World } from "./world.ts";

describe("Ready", () => {
  test("is false when the canary carries all requests and none of its pods is ready", async () => {
    const world = await deployed({ canary });
    world.set(withCanary(2));
    await world.until("all to the canary", () => world.status.canary?.weightPercent === 100);
    world.pods.behaviours.set("digits-canary", { stuck: true });
    await world.tick(2);
    expect(world.podsOf("digits").some(({ ready }) => ready)).toBe(true);
    expect(world.condition("Ready")?.status).toBe("False");
  });

  test("is false when nobody is behind the canary's share of the stable revision", async () => {
    const world = await deployed({ canary });
    world.set(withCanary(2, { steps: [{ weightPercent: 10, holdSeconds: 60 }] }));
    await world.until("in step", () => world.status.canary?.stepStartedAt !== undefined);
    world.pods.behaviours.set("digits", { stuck: true });
    await world.tick(2);
    expect(world.condition("Ready")?.status).toBe("False");
  });

  test("is never true in a second in which every request was lost", async () => {
    const world = await deployed({ replicas: 1 });
    world.pods.behaviours.set("digits", { stuck: true });
    for (let second = 0; second < 5; second++) {
      const before = world.lost;
      await world.tick();
      if (second > 0) expect(world.lost).toBe(before + world.load);
      await world.reconcile();
      expect(world.condition("Ready")?.status).toBe("False");
    }
  });
});

test("what an evicted pod failed of is not said of the pods that took its place", async () => {
  const world = await deployed();
  const [pod] = world.podsOf("digits");
  if (pod === undefined) throw new Error("no pod");
  // As a kubelet leaves it: nobody deletes it, and its Deployment counts it no more.
  const evicted = {
    ...pod,
    name: "digits-evicted",
    problem: { container: "fetch", code: "DiskFull", message: "no room" },
  };
  const asObjects = world.pods.asObjects.bind(world.pods);
  world.pods.asObjects = (now) => {
    world.pods.all.push(evicted);
    const objects = asObjects(now);
    world.pods.all.splice(world.pods.all.indexOf(evicted), 1);
    const left = objects.find(({ metadata }) => metadata.name === evicted.name);
    if (left !== undefined) left.status = { ...(left.status as object), phase: "Failed", reason: "Evicted" };
    return objects;
  };
  await world.tick();
  expect(world.condition("ModelAvailable")?.status).toBe("True");
});

describe("Degraded", () => {
  const failed = async (code: ChildFailure["code"]) => {
    const world = await deployed();
    const ref = { apiVersion: "v1", kind: "Service", namespace: "default", name: "digits" };
    world.failures = [{ ref, code, message: "Service digits was refused: no" }];
    await world.tick();
    return world.condition("Degraded");
  };

  test.each<ChildFailure["code"]>(["Unavailable", "Conflict", "NotFound"])(
    "is not said of a child that will be applied by itself: %s",
    async (code) => {
      expect((await failed(code))?.status).toBe("False");
    },
  );

  test.each<ChildFailure["code"]>(["Forbidden", "Invalid", "NameTaken"])(
    "is said of a child that somebody has to put right: %s",
    async (code) => {
      expect(await failed(code)).toMatchObject({ status: "True", reason: `Child${code}` });
    },
  );

  test("is not said in any second of a first deploy, a rolling update, a canary and a scaling to zero", async () => {
    const hold = { autoscaling: { minReplicas: 0, maxReplicas: 2, scaleToZeroAfterSeconds: 5 } };
    const asleep = { model: model(3), replicas: undefined, ...hold, traffic: { router: "Always" } };
    const specs = [spec({ model: model(1) }), spec({ model: model(2) }), withCanary(3), spec(asleep)];
    const world = new World(specs[0] ?? {});
    for (const next of specs) {
      world.set(next);
      world.load = next === specs.at(-1) ? 0 : 40;
      for (let second = 0; second < 60; second++) {
        await world.tick();
        expect(world.condition("Degraded")?.message).toBe("nothing needs a person");
      }
    }
    expect(world.condition("Ready")).toMatchObject({ status: "True", reason: "ScaledToZero" });
  });

  test("names the Deployment that makes no progress, and where to look", async () => {
    const world = await deployed();
    world.pods.behaviours.set(digest(2), { stuck: true });
    world.set(spec({ model: model(2) }));
    await world.tick(5);
    const deployment = world.objects.get("Deployment", "digits");
    const late = { type: "Progressing", status: "False", reason: "ProgressDeadlineExceeded" };
    if (deployment?.status !== undefined) deployment.status.conditions = [late];
    await world.reconcile();
    expect(world.condition("Degraded")).toMatchObject({
      status: "True",
      reason: "ProgressDeadlineExceeded",
      message: "Deployment digits makes no progress: see the events and logs of its pods",
    });
    expect(world.condition("Ready")?.status).toBe("True");
  });
});

describe("ModelAvailable", () => {
  test("speaks of the model that spec asks for, not of the one that serves", async () => {
    const world = await deployed({ canary });
    expect(world.condition("ModelAvailable")?.status).toBe("True");
    const problem = { container: "fetch", code: "DigestMismatch", message: "other bytes" };
    world.pods.behaviours.set(digest(2), { problem });
    world.set(withCanary(2));
    await world.until("fetched", () => world.condition("ModelAvailable")?.reason === "DigestMismatch");
    await world.until("taken back", () => world.status.lastRollout?.result === "RolledBack");
    await world.until("removed", () => world.status.canary === undefined);
    await world.tick(3);
    expect(world.condition("Ready")?.status).toBe("True");
    expect(world.condition("ModelAvailable")?.status).not.toBe("True");
    expect(world.condition("Degraded")?.message).toContain("Change spec, or ask for a retry");
  });
});

test("a resource that serves nothing says what would make it serve", async () => {
  const none = await deployed({ replicas: 0 });
  expect(none.condition("Ready")).toMatchObject({ reason: "NoReplicas" });
  expect(none.condition("Ready")?.message).toContain("until it is raised");
  const world = await deployed({ canary });
  for (const router of world.traffic.routers.values()) router.dead = true;
  await world.tick(2);
  expect(world.condition("Ready")).toMatchObject({ status: "False", reason: "RoutersNotReady" });
  expect(world.condition("Ready")?.message).toContain("Deployment digits-router");
  expect(world.condition("Progressing")).toMatchObject({ status: "True", reason: "RoutersStarting" });
  for (const router of world.traffic.routers.values()) router.dead = false;
  await world.until("well again", settled(world));
  expect(world.condition("Ready")?.status).toBe("True");
});

test("where no router starts, Ready, Progressing and the alarm say why", async () => {
  const world = await deployed({ canary });
  for (const router of world.traffic.routers.values()) router.dead = true;
  for (const pod of world.podsOf("digits-router")) {
    pod.problem = { container: "router", code: "ImagePullBackOff", message: "no such image" };
  }
  await world.tick(2);
  const why = "ImagePullBackOff: no such image";
  expect(world.condition("Ready")).toMatchObject({ status: "False", reason: "RoutersNotReady" });
  expect(world.condition("Ready")?.message).toContain(why);
  expect(world.condition("Progressing")?.message).toContain(why);
  const late = { type: "Progressing", status: "False", reason: "ProgressDeadlineExceeded" };
  await world.reconcile();
  const router = world.objects.get("Deployment", "digits-router");
  if (router?.status === undefined) throw new Error("no router");
  router.status.conditions = [late];
  await world.reconcile();
  expect(world.condition("Degraded")).toMatchObject({ status: "True", reason: "ProgressDeadlineExceeded" });
  expect(world.condition("Degraded")?.message).toContain(why);
});

describe("Progressing", () => {
  test("and Ready say why the API server admits no pod", async () => {
    const world = new World(spec({ model: model(1) }));
    world.pods.refused = "exceeded quota: small, requested: pods=1, used: pods=0, limited: pods=0";
    await world.tick(3);
    await world.reconcile();
    const why = "a pod of digits is not admitted: exceeded quota: small";
    expect(world.condition("Ready")).toMatchObject({ status: "False", reason: "PodsNotReady" });
    expect(world.condition("Ready")?.message).toContain(why);
    expect(world.condition("Progressing")?.message).toContain(why);
    world.pods.refused = undefined;
    await world.until("deployed", settled(world));
    expect(world.condition("Progressing")?.message).not.toContain("admitted");
  });

  test("says of a canary too why its pods are not admitted", async () => {
    const world = await deployed({ canary });
    world.pods.refused = "violates PodSecurity";
    world.set(withCanary(2));
    await world.tick(3);
    expect(world.condition("Progressing")?.message).toContain(
      "digits-canary is not admitted: violates PodSecurity",
    );
    expect(world.condition("Ready")?.status).toBe("True");
  });

  test("tells pods that are too many from pods that start", async () => {
    const world = await deployed({ replicas: 3 });
    world.set(spec({ model: model(1), replicas: 1 }));
    await world.tick();
    await world.reconcile();
    expect(world.condition("Progressing")).toMatchObject({ status: "True", reason: "PodsLeaving" });
  });

  test("calls a first start no update, and counts no pod of the revision before", async () => {
    const world = new World(spec({ model: model(1) }));
    await world.reconcile();
    expect(world.condition("Progressing")?.reason).toBe("PodsStarting");
    await world.until("deployed", settled(world));
    world.set(spec({ model: model(2) }));
    await world.reconcile();
    await world.reconcile();
    expect(world.condition("Progressing")).toMatchObject({
      reason: "RollingUpdate",
      message: expect.stringMatching(/^0 of \d+ pods are of revision/),
    });
  });
});
