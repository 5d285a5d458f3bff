import { describe, expect, test } from "vitest";
import { canary, deployed, model, settled, spec } from "./fixtures.ts";
import { World } from "./world.ts";

/** A resource that is applied where these add-ons are. */
async function applied(fields: Record<string, unknown>, ...addOns: string[]): Promise<World> {
  const world = new World(spec({ model: model(1), ...fields }));
  for (const addOn of addOns) world.serves.add(addOn);
  await world.until("first deploy", settled(world));
  return world;
}

const container = { image: "triton:1", httpPort: 8000, grpcPort: 8001, readiness: { httpPath: "/ready" } };

describe("routes of the Gateway API", () => {
  const parentRefs = [{ name: "public", namespace: "gateways", sectionName: "https", port: 443 }];
  const traffic = { parentRefs, hostnames: ["digits.example"], grpcHostnames: ["grpc.digits.example"] };

  test("lead each protocol's host names to its port of the main Service", async () => {
    const world = await applied({ traffic }, "HTTPRoute", "GRPCRoute");
    expect(world.objects.get("HTTPRoute", "digits")).toMatchObject({
      apiVersion: "gateway.networking.k8s.io/v1",
      spec: {
        parentRefs,
        hostnames: ["digits.example"],
        rules: [{ backendRefs: [{ name: "digits", port: 80 }] }],
      },
    });
    expect(world.objects.get("GRPCRoute", "digits")).toMatchObject({
      apiVersion: "gateway.networking.k8s.io/v1",
      spec: {
        parentRefs,
        hostnames: ["grpc.digits.example"],
        rules: [{ backendRefs: [{ name: "digits", port: 8081 }] }],
      },
    });
    const ports = world.objects.get("Service", "digits")?.spec?.ports?.map(({ port }) => port);
    expect(ports).toEqual([80, 8081]);
  });

  test("are made for the protocols that the server speaks, and for no Gateway that is not named", async () => {
    const http = { image: "a", httpPort: 8000, readiness: { httpPath: "/ready" } };
    const one = await applied({ model: undefined, container: http, traffic }, "HTTPRoute", "GRPCRoute");
    expect(one.objects.get("HTTPRoute", "digits")).toBeDefined();
    expect(one.objects.get("GRPCRoute", "digits")).toBeUndefined();
    const none = await applied({}, "HTTPRoute", "GRPCRoute");
    expect(none.objects.get("HTTPRoute", "digits")).toBeUndefined();
    expect(none.condition("RoutesAccepted")).toBeUndefined();
  });

  test.each([
    ["HTTPRoute", ["GRPCRoute"]],
    ["GRPCRoute", ["HTTPRoute"]],
  ])("that the cluster does not serve are named: %s", async (missing, installed) => {
    const world = await applied({ traffic }, ...installed);
    expect(world.condition("Ready")?.status).toBe("True");
    expect(world.condition("RoutesAccepted")).toMatchObject({ status: "False", reason: "KindNotServed" });
    expect(world.condition("Degraded")).toMatchObject({ status: "True", reason: "KindNotServed" });
    expect(world.condition("Degraded")?.message).toContain(missing);
    world.serves.add(missing);
    await world.tick(2);
    expect(world.condition("Degraded")?.status).toBe("False");
  });

  test("are accepted once every Gateway says so, and the one that is refused is told with what to do", async () => {
    const shared = { parentRefs, hostnames: ["digits.example"] };
    const world = await applied({ traffic: shared }, "HTTPRoute", "GRPCRoute");
    expect(world.condition("RoutesAccepted")).toMatchObject({ status: "Unknown", reason: "NotAcceptedYet" });
    const answer = async (kind: "HTTPRoute" | "GRPCRoute", status: string) => {
      const accepted = { type: "Accepted", status, reason: "NotAllowed", message: "the host name is taken" };
      const route = world.objects.get(kind, "digits");
      if (route !== undefined)
        route.status = { parents: [{ parentRef: parentRefs[0], conditions: [accepted] }] };
      await world.tick();
    };
    await answer("HTTPRoute", "True");
    await answer("GRPCRoute", "False");
    expect(world.condition("RoutesAccepted")).toMatchObject({ status: "False", reason: "NotAllowed" });
    expect(world.condition("RoutesAccepted")?.message).toMatch(
      /^GRPCRoute digits: the host name is taken.*traffic\.grpcHostnames$/,
    );
    await answer("GRPCRoute", "True");
    expect(world.condition("RoutesAccepted")).toMatchObject({ status: "True", reason: "Accepted" });
  });
});

describe("whether every Gateway carries a route", () => {
  const http = { image: "a", httpPort: 8000, readiness: { httpPath: "/ready" } };
  const parentRefs = [{ name: "public", namespace: "gateways" }, { name: "internal" }];
  const accepted = { type: "Accepted", status: "True", reason: "Accepted", message: "" };
  const routed = () => applied({ model: undefined, container: http, traffic: { parentRefs } }, "HTTPRoute");
  const answer = async (world: World, parents: object[]) => {
    const route = world.objects.get("HTTPRoute", "digits");
    if (route !== undefined) route.status = { parents };
    await world.tick();
  };

  test("is not known before each of them has answered", async () => {
    const world = await routed();
    const first = { parentRef: parentRefs[0], conditions: [accepted] };
    await answer(world, [first]);
    expect(world.condition("RoutesAccepted")).toMatchObject({ status: "Unknown", reason: "NotAcceptedYet" });
    expect(world.condition("RoutesAccepted")?.message).toContain("default/internal");
    const internal = { parentRef: { name: "internal", namespace: "default" }, conditions: [accepted] };
    await answer(world, [first, internal]);
    expect(world.condition("RoutesAccepted")?.status).toBe("True");
  });

  test("is not known from an answer to what the route was before", async () => {
    const world = await routed();
    const conditions = [{ ...accepted, observedGeneration: 1 }];
    const answers = parentRefs.map((parentRef) => ({ parentRef, conditions }));
    await answer(world, answers);
    expect(world.condition("RoutesAccepted")?.status).toBe("True");
    const hostnames = ["digits.example"];
    world.set(spec({ container: http, traffic: { parentRefs, hostnames } }));
    await world.tick(2);
    expect(world.condition("RoutesAccepted")).toMatchObject({ status: "Unknown", reason: "NotAcceptedYet" });
  });
});

describe("a ServiceMonitor", () => {
  const observability = { serviceMonitor: { labels: { release: "prometheus" }, intervalSeconds: 15 } };

  test("reads the admin port of every pod behind the resource's Services, in its namespace alone", async () => {
    const world = await applied({ observability, canary }, "ServiceMonitor");
    const monitor = world.objects.get("ServiceMonitor", "digits");
    expect(monitor).toMatchObject({
      apiVersion: "monitoring.coreos.com/v1",
      metadata: { labels: { release: "prometheus", "naru.dev/model-serving": "digits" } },
    });
    expect(monitor?.spec).toEqual({
      namespaceSelector: { matchNames: ["default"] },
      selector: { matchLabels: { "naru.dev/model-serving": "digits" } },
      targetLabels: ["naru.dev/model-serving"],
      endpoints: [{ targetPort: "admin", path: "/metrics", interval: "15s" }],
    });
    const services = world.objects.all().filter(({ kind }) => kind === "Service");
    for (const { metadata } of services)
      expect(metadata.labels).toHaveProperty("naru.dev/model-serving", "digits");
  });

  test.each([
    ["a port of its own", { port: 8002 }, "metrics"],
    ["the HTTP port, by its number", { port: 8000 }, "http"],
    ["the HTTP port, by default", { path: "/stats" }, "http"],
    ["the gRPC port", { port: 8001 }, "grpc"],
  ])(
    "reads a user's own server at %s, which its pods have under that name",
    async (_, metrics, targetPort) => {
      const fields = { model: undefined, container: { ...container, metrics }, observability, canary };
      const world = await applied(fields, "ServiceMonitor");
      const endpoints = world.objects.get("ServiceMonitor", "digits")?.spec.endpoints ?? [];
      const role = {
        action: "keep",
        sourceLabels: ["__meta_kubernetes_pod_label_naru_dev_role"],
        regex: "inference",
      };
      expect(endpoints).toHaveLength(2);
      // Routers have a port of the same name, which shows no metrics.
      expect(endpoints[1]).toMatchObject({ targetPort, relabelings: [role] });
      const pod = world.podsOf("digits")[0]?.template;
      expect(pod?.spec?.containers[0]?.ports?.map(({ name }) => name)).toContain(targetPort);
      expect(pod?.metadata?.labels).toHaveProperty("naru.dev/role", "inference");
    },
  );

  test("reads a graph's own steps, each by its node, and the NetworkPolicy lets Prometheus reach them", async () => {
    const nodes = [{ name: "pre", container: { ...container, metrics: { port: 9102, path: "/m" } } }];
    const fields = { model: undefined, graph: { entry: "pre", nodes }, observability };
    const world = await applied(fields, "ServiceMonitor");
    const endpoints = world.objects.get("ServiceMonitor", "digits")?.spec.endpoints ?? [];
    expect(endpoints[1]).toMatchObject({
      targetPort: "metrics",
      path: "/m",
      relabelings: [
        { regex: "step" },
        { sourceLabels: ["__meta_kubernetes_pod_label_naru_dev_node"], regex: "pre" },
      ],
    });
    const ingress = world.objects.get("NetworkPolicy", "digits")?.spec?.ingress ?? [];
    expect(ingress.flatMap(({ ports = [] }) => ports.map(({ port }) => port))).toContain(9102);
  });

  test("is made only where it is asked for and the Prometheus operator is there; it comes with it", async () => {
    const world = await applied({ observability });
    expect(world.objects.get("ServiceMonitor", "digits")).toBeUndefined();
    expect(world.condition("ServiceMonitorApplied")).toMatchObject({
      status: "False",
      reason: "KindNotServed",
    });
    // What serves is well: only nobody measures it.
    expect(world.condition("Degraded")?.status).toBe("False");
    world.serves.add("ServiceMonitor");
    await world.tick();
    expect(world.objects.get("ServiceMonitor", "digits")).toBeDefined();
    expect(world.condition("ServiceMonitorApplied")?.status).toBe("True");
    world.set(spec({ model: model(1), observability: { serviceMonitor: { enabled: false } } }));
    await world.tick();
    expect(world.objects.get("ServiceMonitor", "digits")).toBeUndefined();
    expect(world.condition("ServiceMonitorApplied")).toBeUndefined();
    expect((await deployed()).objects.get("ServiceMonitor", "digits")).toBeUndefined();
  });
});

describe("add-ons that the API server fails to list", () => {
  const autoscaling = { provider: "KEDA", maxReplicas: 3, metrics: [{ type: "CPU", target: 70 }] };
  const hiding = async (fields: Record<string, unknown>, ...kinds: string[]): Promise<World> => {
    const world = new World(spec({ model: model(1), replicas: undefined, ...fields }));
    for (const kind of kinds) {
      world.serves.add(kind);
      world.hides.add(kind);
    }
    await world.until("first deploy", settled(world));
    return world;
  };

  test("KEDA: no autoscaler is made beside a ScaledObject that may be there, and nobody is called", async () => {
    const world = await hiding({ autoscaling }, "ScaledObject");
    expect(world.objects.get("HorizontalPodAutoscaler", "digits")).toBeUndefined();
    expect(world.condition("ScalingActive")).toMatchObject({ status: "Unknown", reason: "KindNotListed" });
    expect(world.condition("Degraded")?.status).toBe("False");
    world.hides.clear();
    await world.tick(2);
    expect(world.objects.get("ScaledObject", "digits")).toBeDefined();
  });

  test("KEDA: an autoscaler that stood in for it before goes on", async () => {
    const world = new World(spec({ model: model(1), replicas: undefined, autoscaling }));
    await world.until("first deploy", settled(world));
    expect(world.objects.get("HorizontalPodAutoscaler", "digits")).toBeDefined();
    world.serves.add("ScaledObject");
    world.hides.add("ScaledObject");
    await world.tick(3);
    expect(world.objects.get("HorizontalPodAutoscaler", "digits")).toBeDefined();
  });

  test("the Gateway API and the Prometheus operator: what is known of them is said to be unknown", async () => {
    const fields = {
      traffic: { parentRefs: [{ name: "public" }] },
      observability: { serviceMonitor: { enabled: true } },
    };
    const world = await hiding(fields, "HTTPRoute", "GRPCRoute", "ServiceMonitor");
    for (const type of ["RoutesAccepted", "ServiceMonitorApplied"]) {
      expect(world.condition(type)).toMatchObject({ status: "Unknown", reason: "KindNotListed" });
    }
    expect(world.condition("Degraded")?.status).toBe("False");
  });
});
