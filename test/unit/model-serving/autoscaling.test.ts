import { describe, expect, test } from "vitest";
import { canary, deployed, digest, model, settled, spec } from "./fixtures.ts";
import { World } from "./world.ts";

const prometheusUrl = "http://prometheus.monitoring.svc:9090";
const byLoad = (fields: Record<string, unknown> = {}) => ({
  replicas: undefined,
  autoscaling: { minReplicas: 2, maxReplicas: 8, ...fields },
});
const concurrency = { metrics: [{ type: "Concurrency", target: 4 }] };

/** A resource that is applied where these add-ons are. */
async function applied(fields: Record<string, unknown>, addOns: string[] = [], url?: string): Promise<World> {
  const world = new World(spec({ model: model(1), ...fields }));
  for (const addOn of addOns) world.serves.add(addOn);
  if (url !== undefined) world.settings = { ...world.settings, prometheusUrl: url };
  await world.until("first deploy", settled(world));
  return world;
}

const scalers = (world: World) =>
  world.objects
    .all()
    .map(({ kind }) => kind)
    .filter((kind) => kind === "HorizontalPodAutoscaler" || kind === "ScaledObject");

describe("an HPA", () => {
  test("holds the Deployment of the stable track within the bounds, at 80 % of the CPU that is asked for", async () => {
    const world = await applied(byLoad());
    expect(world.objects.get("HorizontalPodAutoscaler", "digits")?.spec).toEqual({
      scaleTargetRef: { apiVersion: "apps/v1", kind: "Deployment", name: "digits" },
      minReplicas: 2,
      maxReplicas: 8,
      metrics: [
        {
          type: "Resource",
          resource: { name: "cpu", target: { type: "Utilization", averageUtilization: 80 } },
        },
      ],
      behavior: { scaleDown: { stabilizationWindowSeconds: 300 } },
    });
  });

  test("is never told of 0 pods, which only routers can wake from", async () => {
    const world = await applied({ ...byLoad({ minReplicas: 0 }), traffic: { router: "Always" } });
    expect(world.objects.get("HorizontalPodAutoscaler", "digits")?.spec?.minReplicas).toBe(1);
  });

  test("may not shrink the stable pods while a canary takes their requests", async () => {
    const world = await applied({ ...byLoad(), canary });
    const deployment = world.objects.get("Deployment", "digits");
    if (deployment?.spec !== undefined) deployment.spec.replicas = 5;
    world.set(spec({ model: model(2), ...byLoad(), canary }));
    await world.until("in step", () => world.status.canary?.stepStartedAt !== undefined);
    expect(world.objects.get("HorizontalPodAutoscaler", "digits")?.spec?.minReplicas).toBe(5);
    await world.until("promoted", settled(world));
    expect(world.status.modelDigest).toBe(digest(2));
    expect(world.objects.get("HorizontalPodAutoscaler", "digits")?.spec?.minReplicas).toBe(2);
    expect(world.objects.get("Deployment", "digits")?.spec?.replicas).toBe(5);
  });

  test("stands in for KEDA where it is not installed, and ScalingActive and Degraded say what to do", async () => {
    const auto = await applied(byLoad(concurrency), [], prometheusUrl);
    expect(scalers(auto)).toEqual(["HorizontalPodAutoscaler"]);
    expect(auto.condition("ScalingActive")?.message).toContain("install KEDA");
    expect(auto.condition("ScalingActive")?.message).toContain(
      "naru_inference_pending_request_count must be served by a metrics adapter",
    );
    expect(auto.condition("Degraded")?.status).toBe("False");
    const asked = await applied(byLoad({ provider: "KEDA" }));
    expect(scalers(asked)).toEqual(["HorizontalPodAutoscaler"]);
    expect(asked.condition("Degraded")).toMatchObject({ status: "True", reason: "KindNotServed" });
  });

  test("stands in for KEDA that has no Prometheus to ask: a trigger without an address would never work", async () => {
    const world = await applied(byLoad({ provider: "KEDA", ...concurrency }), ["ScaledObject"]);
    expect(scalers(world)).toEqual(["HorizontalPodAutoscaler"]);
    expect(world.condition("Degraded")?.message).toContain("--prometheus-url");
  });
});

describe("a ScaledObject", () => {
  test("takes the HPA's place for Naru's own metrics, and asks for the stable pods' alone", async () => {
    const world = await applied(byLoad(concurrency), ["ScaledObject"], prometheusUrl);
    expect(scalers(world)).toEqual(["ScaledObject"]);
    expect(world.objects.get("ScaledObject", "digits")).toMatchObject({
      apiVersion: "keda.sh/v1alpha1",
      spec: {
        scaleTargetRef: { apiVersion: "apps/v1", kind: "Deployment", name: "digits" },
        minReplicaCount: 2,
        maxReplicaCount: 8,
        triggers: [
          {
            type: "prometheus",
            metricType: "AverageValue",
            metadata: { serverAddress: prometheusUrl, threshold: "4" },
          },
        ],
      },
    });
    const [pattern = ""] =
      /pod=~"([^"]+)"/.exec(JSON.stringify(world.objects.all()).replaceAll("\\", "")) ?? [];
    const pods = new RegExp(`^${pattern.slice('pod=~"'.length, -1)}$`);
    expect("digits-6f7c9d8b5-x2x4z").toMatch(pods);
    for (const other of [
      "digits-canary-6f7c9d8b5-x2x4z",
      "digits-router-6f7c9d8b5-x2x4z",
      "digits-v2-6f7c9d8b5-x2x4z",
    ]) {
      expect(other).not.toMatch(pods);
    }
  });

  test("has only text in a trigger's metadata, and a mean delay that is 0 without requests", async () => {
    const metrics = [
      { type: "CPU", target: 70 },
      { type: "QueueMilliseconds", target: 20 },
    ];
    const world = await applied(byLoad({ provider: "KEDA", metrics }), ["ScaledObject"], prometheusUrl);
    const triggers = world.objects.get("ScaledObject", "digits")?.spec.triggers ?? [];
    expect(triggers).toMatchObject([
      { type: "cpu", metricType: "Utilization", metadata: { value: "70" } },
      { type: "prometheus", metricType: "Value", metadata: { threshold: "20" } },
    ]);
    for (const { metadata } of triggers) {
      expect(Object.values(metadata).every((value) => typeof value === "string")).toBe(true);
    }
    expect(triggers[1]?.metadata.query).toMatch(/> 0\) \/ 1000 or vector\(0\)$/);
  });

  test("comes and goes with KEDA, never beside the HPA, and the count stays", async () => {
    const world = await applied(byLoad(concurrency), [], prometheusUrl);
    const deployment = world.objects.get("Deployment", "digits");
    if (deployment?.spec !== undefined) deployment.spec.replicas = 4;
    world.serves.add("ScaledObject");
    await world.tick();
    expect(scalers(world)).toEqual([]);
    await world.tick();
    expect(scalers(world)).toEqual(["ScaledObject"]);
    world.serves.delete("ScaledObject");
    await world.tick(2);
    expect(scalers(world)).toEqual(["HorizontalPodAutoscaler"]);
    expect(world.objects.get("Deployment", "digits")?.spec?.replicas).toBe(4);
  });

  test("leaves while the model sleeps, since it would wake it, and is there again after", async () => {
    const world = await applied(
      {
        ...byLoad({ minReplicas: 0, scaleToZeroAfterSeconds: 5, ...concurrency }),
        traffic: { router: "Always" },
      },
      ["ScaledObject"],
      prometheusUrl,
    );
    world.load = 0;
    await world.until("asleep", () => world.objects.get("Deployment", "digits")?.spec?.replicas === 0);
    expect(scalers(world)).toEqual([]);
    expect(world.condition("ScalingActive")).toMatchObject({ status: "True", reason: "ScaledToZero" });
    world.load = 1;
    await world.until("awake", () => world.podsOf("digits").some(({ ready }) => ready));
    await world.tick();
    expect(scalers(world)).toEqual(["ScaledObject"]);
    expect(world.lost).toBe(0);
  });
});

describe("ScalingActive", () => {
  /** What the HPA's own controller says. */
  async function told(type: string, status: string, message: string) {
    const world = await applied(byLoad());
    const hpa = world.objects.get("HorizontalPodAutoscaler", "digits");
    const able = { type: "AbleToScale", status: "True", reason: "SucceededGetScale", message: "" };
    if (hpa !== undefined) {
      hpa.status = {
        currentMetrics: [],
        desiredReplicas: 2,
        currentReplicas: 2,
        conditions: [able, { type, status, reason: "FailedGetResourceMetric", message }],
      };
    }
    await world.tick();
    return world;
  }

  test("is unknown until the autoscaler has said something", async () => {
    const world = await applied(byLoad());
    expect(world.condition("ScalingActive")).toMatchObject({ status: "Unknown", reason: "NotActiveYet" });
  });

  test("is the autoscaler's own word, with what the resource can put right, and needs nobody in a hurry", async () => {
    const world = await told(
      "ScalingActive",
      "False",
      "missing request for cpu in container server of Pod x",
    );
    expect(world.condition("ScalingActive")).toMatchObject({
      status: "False",
      reason: "FailedGetResourceMetric",
    });
    expect(world.condition("ScalingActive")?.message).toContain("set pod.resources.requests");
    expect(world.condition("Degraded")?.status).toBe("False");
    expect((await told("ScalingActive", "True", "")).condition("ScalingActive")?.status).toBe("True");
  });

  test("says that a graph of steps alone has nothing to scale", async () => {
    const container = { image: "a", httpPort: 8000, readiness: { httpPath: "/" } };
    const world = await applied({
      ...byLoad(),
      model: undefined,
      graph: { entry: "a", nodes: [{ name: "a", container }] },
    });
    expect(scalers(world)).toEqual([]);
    expect(world.condition("ScalingActive")).toMatchObject({ status: "False", reason: "NothingToScale" });
  });

  test("is not asked without autoscaling", async () => {
    expect((await deployed()).condition("ScalingActive")).toBeUndefined();
  });
});

test("replicas are in every Deployment that is applied, whatever happens to autoscaling", async () => {
  const world = await deployed({ replicas: 3 });
  const steps = [byLoad(), byLoad({ minReplicas: 4 }), { replicas: undefined }, { replicas: 2 }, byLoad()];
  const seen: (number | undefined)[] = [];
  for (const step of steps) {
    world.set(spec({ model: model(1), ...step }));
    const { children } = await world.reconcile();
    for (const child of children.filter(({ kind }) => kind === "Deployment")) {
      expect(child.spec).toHaveProperty("replicas", expect.any(Number));
    }
    seen.push(world.objects.get("Deployment", "digits")?.spec?.replicas);
  }
  expect(seen).toEqual([3, 4, 4, 2, 2]);
});
