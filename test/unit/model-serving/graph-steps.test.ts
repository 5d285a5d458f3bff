import { describe, expect, test } from "vitest";
import { canary, deployed, model, settled, spec } from "./fixtures.ts";
import type { World } from "./world.ts";

const step = (image: string, fields: Record<string, unknown> = {}) => ({
  image,
  httpPort: 9000,
  grpcPort: 9001,
  readiness: { httpPath: "/v2/health/ready" },
  ...fields,
});

/** A user's own step before a model of ours. */
const graphOf = (image: string, node = "pre", version = 1) => ({
  model: undefined,
  graph: {
    entry: node,
    nodes: [
      { name: node, container: step(image) },
      { name: "a", model: model(version) },
    ],
    edges: [{ from: node, to: "a" }],
  },
});

/** A user's own step alone. */
const stepAlone = (node: string) => ({
  model: undefined,
  graph: { entry: node, nodes: [{ name: node, container: step("step:1") }] },
});

const anyRouter = (world: World) => world.traffic.routers.values().next().value;

describe("a graph's node that runs a container of its own", () => {
  test("has as many pods as the models, which end as theirs do and have no token", async () => {
    const world = await deployed(graphOf("step:1"));
    const deployment = world.objects.get("Deployment", "digits-step-pre");
    const { containers, ...pod } = deployment?.spec?.template.spec ?? { containers: [] };
    expect(deployment?.spec?.replicas).toBe(2);
    expect(containers).toMatchObject([
      {
        image: "step:1",
        ports: [
          { name: "http", containerPort: 9000 },
          { name: "grpc", containerPort: 9001 },
        ],
        readinessProbe: { httpGet: { path: "/v2/health/ready", port: "http" } },
        lifecycle: { preStop: { sleep: { seconds: 30 } } },
      },
    ]);
    expect(pod).toMatchObject({ terminationGracePeriodSeconds: 65, automountServiceAccountToken: false });
  });

  test("is reached by the router through a Service of its own, which selects its pods and no others", async () => {
    const world = await deployed(graphOf("step:1"));
    expect(world.objects.get("Service", "digits-step-pre")?.spec).toMatchObject({
      selector: { "naru.dev/role": "step", "naru.dev/node": "pre", "naru.dev/track": "stable" },
      ports: [
        { name: "http", port: 80, targetPort: "http" },
        { name: "grpc", port: 8081, targetPort: "grpc", appProtocol: "kubernetes.io/h2c" },
      ],
    });
    expect(anyRouter(world)?.config?.stable.graph?.nodes).toMatchObject([
      {
        name: "pre",
        model: "pre",
        backend: {
          http: "http://digits-step-pre.default.svc:80",
          grpc: "http://digits-step-pre.default.svc:8081",
        },
      },
      { name: "a", model: "a", backend: { http: "http://digits-stable.default.svc:80" } },
    ]);
    await world.tick(3);
    expect(world.lost).toBe(0);
  });

  test("is protected from evictions by a budget of its own; no budget is for pods that there are none of", async () => {
    const world = await deployed(graphOf("step:1"));
    const budget = world.objects.get("PodDisruptionBudget", "digits-step-pre")?.spec;
    const pods = world.podsOf("digits-step-pre").map(({ template }) => template.metadata?.labels);
    expect(pods).toHaveLength(2);
    for (const labels of pods) expect(labels).toMatchObject(budget?.selector?.matchLabels ?? { none: "" });
    const alone = await deployed(stepAlone("only"));
    const names = alone.objects.all().filter(({ kind }) => kind === "PodDisruptionBudget");
    expect(names.map(({ metadata }) => metadata.name).sort()).toEqual(["digits-router", "digits-step-only"]);
  });

  test("keeps Ready from being true while it answers nobody, though the models' pods are ready", async () => {
    const world = await deployed(graphOf("step:1"));
    world.pods.behaviours.set("digits-step-pre", { stuck: true });
    await world.tick(2);
    expect(world.podsOf("digits").every(({ ready }) => ready)).toBe(true);
    expect(world.condition("Ready")).toMatchObject({ status: "False", reason: "PodsNotReady" });
    world.pods.behaviours.clear();
    await world.tick(2);
    expect(world.condition("Ready")?.status).toBe("True");
  });

  test("is tried beside the old one in a canary, with pods and a Service of its track, and nothing is lost", async () => {
    const world = await deployed({ ...graphOf("step:1"), canary });
    world.set(spec({ ...graphOf("step:2"), canary }));
    await world.until("a step", () => world.status.canary?.stepStartedAt !== undefined);
    expect(world.podsOf("digits-canary-step-pre").length).toBeGreaterThan(0);
    expect(anyRouter(world)?.config?.canary?.graph?.nodes[0]?.backend?.http).toBe(
      "http://digits-canary-step-pre.default.svc:80",
    );
    await world.until("promoted", settled(world));
    expect(world.podsOf("digits-step-pre")[0]?.template.spec?.containers[0]?.image).toBe("step:2");
    expect(world.objects.get("Deployment", "digits-canary-step-pre")).toBeUndefined();
    expect(world.objects.get("Service", "digits-canary-step-pre")).toBeUndefined();
    expect(world.lost).toBe(0);
  });

  test("of another name replaces the old one: same count, no request lost, no Ready that wavers", async () => {
    const scaled = { replicas: undefined, autoscaling: { maxReplicas: 5 } };
    const world = await deployed({ ...stepAlone("old"), ...scaled });
    const old = world.objects.get("Deployment", "digits-step-old");
    if (old?.spec !== undefined) old.spec.replicas = 3;
    await world.tick();
    await world.until("scaled", settled(world));
    world.set(spec({ ...stepAlone("new"), ...scaled }));
    await world.tick();
    await world.until("replaced", () => {
      expect(world.condition("Ready")?.status).toBe("True");
      expect(world.status.effective?.replicas).toBe(3);
      return settled(world)();
    });
    expect(world.objects.get("Deployment", "digits-step-old")).toBeUndefined();
    expect(world.podsOf("digits-step-new")).toHaveLength(3);
    expect(world.lost).toBe(0);
  });
});
