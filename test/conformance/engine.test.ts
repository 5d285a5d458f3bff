import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, onTestFailed, test } from "vitest";
import type { Condition, KubeObject } from "../../operator/engine/objects.ts";
import { openConnection } from "../../operator/kube/open-connection.ts";
import { type ApiServer, missingAssets, startApiServer } from "../support/api-server.ts";
import { eventually } from "../support/eventually.ts";
import { type ApiProxy, type Fault, startApiProxy } from "./support/api-proxy.ts";
import { type RunningEngine, startEngine } from "./support/engine.ts";
import { applyAs, installModelServing, modelServing, newNamespace, SERVICE } from "./support/kube.ts";
import { worldOf } from "./support/world.ts";

const missing = await missingAssets();
if (missing !== undefined) console.log(`skipped: the engine on a real API server: ${missing}`);

const PATIENCE = 120_000;

describe.skipIf(missing !== undefined)("the engine with the real decisions, on a real API server", () => {
  let server: ApiServer;
  let proxy: ApiProxy;
  let engine: RunningEngine;
  let namespace: string;

  beforeAll(async () => {
    server = await startApiServer();
    await installModelServing(server);
  });
  afterAll(async () => server?.stop());
  beforeEach(async () => {
    proxy = await startApiProxy(await openConnection({ kubeconfig: server.kubeconfig }));
    engine = await startEngine(proxy.connection, { timing: { firstRetry: 50, longestRetry: 500 } });
    namespace = await newNamespace(server);
    onTestFailed(() => console.log("the engine logged:", engine.log.lines.slice(-20)));
  });
  afterEach(async () => {
    await engine.stop();
    await proxy.stop();
  });

  const create = (within: string, name = "digits") =>
    applyAs(server, "kubectl", modelServing(within, name, 2));
  const get = async (path: string): Promise<KubeObject | undefined> => {
    const { status, body } = await server.request("GET", path.replace("%", `namespaces/${namespace}`));
    return status === 200 ? (body as unknown as KubeObject) : undefined;
  };
  const events = async (within = namespace) => {
    const { body } = await server.request("GET", `/api/v1/namespaces/${within}/events`);
    return body.items as { reason: string; message: string; count: number }[];
  };
  const conditionOf = async (name: string, type: string): Promise<Condition | undefined> => {
    const found = await get(`/apis/naru.dev/v1alpha1/%/modelservings/${name}`);
    const { conditions = [] } = (found?.status ?? {}) as { conditions?: Condition[] };
    return conditions.find((condition) => condition.type === type);
  };
  const writes = () =>
    proxy.seen.filter(({ method, url }) => method !== "GET" && !/\/events\b/.test(url)).length;
  /** Once nothing has been written for a while. */
  const settled = async (): Promise<void> => {
    let before = -1;
    let quiet = 0;
    await eventually("no more writes", () => {
      quiet = writes() === before ? quiet + 1 : 0;
      before = writes();
      return quiet > 20;
    });
  };
  /** What comes of a ModelServing where nothing goes wrong. */
  const undisturbed = async () => {
    const calm = await newNamespace(server);
    await create(calm);
    await settled();
    const world = await worldOf(server, calm);
    expect(Object.keys(world).length).toBeGreaterThan(5);
    return world;
  };
  const comesTo = async (world: object) => {
    const same = async () => JSON.stringify(await worldOf(server, namespace)) === JSON.stringify(world);
    await eventually("the same world", same, 60_000).catch(
      // So that what differs is shown.
      async () => expect(await worldOf(server, namespace)).toEqual(world),
    );
  };

  test(
    "behind a server that is slow, fails, asks to come later and drops connections it comes to the same, and tells nobody",
    async () => {
      const world = await undisturbed();
      const kinds: readonly Fault[] = [
        { delay: 200 },
        { answer: 500 },
        { answer: 429, headers: { "retry-after": "1" } },
        { answer: 503 },
        // Carried out, but its answer is lost.
        { cutAfter: 1 },
      ];
      let nth = 0;
      let left = 60;
      proxy.fault = ({ url }) => {
        if (url.includes("/events")) return undefined;
        nth += 1;
        if (nth % 2 === 0 || left === 0) return undefined;
        left -= 1;
        return kinds[left % kinds.length];
      };
      const cuts = setInterval(() => left > 0 && proxy.cutWatches(), 300);
      try {
        await create(namespace);
        await eventually("every fault met", () => left === 0, 60_000);
        await comesTo(world);
      } finally {
        clearInterval(cuts);
      }
      await settled();
      expect(engine.log.lines.join("\n")).toMatch(/reconcile failed|listing or watching failed/);
      const told = await events();
      expect(told.filter(({ reason }) => /Failed|Child/.test(reason))).toEqual([]);
    },
    PATIENCE,
  );

  test(
    "an API server that is killed and started again in the middle of a reconcile costs nothing but time",
    async () => {
      const world = await undisturbed();
      let applied = 0;
      let killed: Promise<void> | undefined;
      proxy.fault = ({ method }) => {
        applied += method === "PATCH" ? 1 : 0;
        if (applied === 4) killed ??= server.restart();
        return undefined;
      };
      await create(namespace);
      await eventually("it was killed", () => killed !== undefined);
      await killed;
      await comesTo(world);
    },
    PATIENCE,
  );

  test("a child's name that somebody has is told once, counted up, and taken once it is free", async () => {
    const service: KubeObject = {
      ...SERVICE,
      metadata: { name: "taken", namespace },
      spec: { ports: [{ port: 80 }] },
    };
    await applyAs(server, "somebody", service);
    await create(namespace, "taken");
    const [event, ...others] = await eventually("it was tried again and again", async () => {
      const told = (await events()).filter(({ reason }) => reason === "NameTaken");
      return (told[0]?.count ?? 0) >= 5 && told;
    });
    expect(others).toEqual([]);
    expect(event?.message).toBe("Service taken exists and belongs to no resource of Naru: it is left alone");
    expect(await conditionOf("taken", "Degraded")).toMatchObject({
      status: "True",
      reason: "ChildNameTaken",
    });
    expect(await get("/apis/apps/v1/%/deployments/taken")).toBeDefined();
    expect((await get("/api/v1/%/services/taken"))?.metadata.ownerReferences).toBeUndefined();
    await server.request("DELETE", `/api/v1/namespaces/${namespace}/services/taken`);
    await eventually("a Service of its own", async () => {
      const found = await get("/api/v1/%/services/taken");
      return found?.metadata.ownerReferences?.[0]?.name === "taken";
    });
    await eventually("well again", async () => (await conditionOf("taken", "Degraded"))?.status === "False");
  });

  test("one who writes a field of ours over and over is named in one Event that counts, not in a stream", async () => {
    await create(namespace);
    const path = `/apis/policy/v1/namespaces/${namespace}/poddisruptionbudgets/digits`;
    await eventually("its budget", () => get(path));
    await settled();
    const { spec } = (await get(path)) ?? {};
    for (let nth = 0; nth < 12; nth += 1) {
      const meddled = { spec: { maxUnavailable: 7 } };
      const query = "?fieldManager=meddler";
      await server.request("PATCH", `${path}${query}`, meddled, "application/merge-patch+json");
      await eventually("it taken back", async () => {
        return JSON.stringify((await get(path))?.spec) === JSON.stringify(spec);
      });
    }
    const told = await eventually("all of them counted", async () => {
      const all = (await events()).filter(({ reason }) => reason === "FieldTakenBack");
      return (all[0]?.count ?? 0) >= 12 && all;
    });
    expect(told).toHaveLength(1);
    expect(told[0]?.message).toContain("meddler");
  });

  test("whoever applies a field of ours without force is told whose it is; one of their own stays", async () => {
    await create(namespace);
    const path = `/apis/apps/v1/namespaces/${namespace}/deployments/digits`;
    await eventually("its Deployment", () => get(path));
    await settled();
    const before = await get(path);
    const apply = (spec: object) =>
      server.request(
        "PATCH",
        `${path}?fieldManager=somebody`,
        { apiVersion: "apps/v1", kind: "Deployment", metadata: { name: "digits", namespace }, spec },
        "application/apply-patch+yaml",
      );
    const refused = await apply({ replicas: 9 });
    expect(refused.status).toBe(409);
    expect(refused.body.message).toContain('conflict with "naru-operator"');
    expect((await apply({ minReadySeconds: 3 })).status).toBe(200);
    await settled();
    const after = await get(path);
    expect(after?.spec).toEqual({ ...(before?.spec as object), minReadySeconds: 3 });
    expect((await events()).filter(({ reason }) => reason === "FieldTakenBack")).toEqual([]);
  });

  test("a count that an autoscaler writes stays, becomes ours too, and is no reason to complain", async () => {
    const { model } = modelServing(namespace, "digits", 1).spec as { model: object };
    const spec = { model, autoscaling: { minReplicas: 2, maxReplicas: 5 } };
    await applyAs(server, "kubectl", { ...modelServing(namespace, "digits", 1), spec });
    const path = `/apis/apps/v1/namespaces/${namespace}/deployments/digits`;
    await eventually("its Deployment", () => get(path));
    await settled();
    const scale = await server.request("GET", `${path}/scale`);
    for (const replicas of [4, 3]) {
      const query = "?fieldManager=kube-controller-manager";
      const { body } = await server.request("GET", `${path}/scale`);
      await server.request("PUT", `${path}/scale${query}`, { ...body, spec: { replicas } });
      await settled();
      expect((await get(path))?.spec).toMatchObject({ replicas });
    }
    expect(scale.body.spec).toEqual({ replicas: 2 });
    expect((await events()).filter(({ reason }) => reason === "FieldTakenBack")).toEqual([]);
    // Beyond its bounds it is no autoscaler's count.
    const { body } = await server.request("GET", `${path}/scale`);
    await server.request("PUT", `${path}/scale`, { ...body, spec: { replicas: 9 } });
    await eventually("its bound", async () => {
      const { replicas } = ((await get(path))?.spec ?? {}) as { replicas?: number };
      return replicas === 5;
    });
  });

  test("a count that an autoscaler writes while a rollout is being applied is not written over", async () => {
    const { model } = modelServing(namespace, "digits", 1).spec as { model: { sha256: string } };
    const autoscaling = { minReplicas: 2, maxReplicas: 5 };
    const applied = (sha256: string) => {
      const spec = { model: { ...model, sha256 }, autoscaling };
      return applyAs(server, "kubectl", { ...modelServing(namespace, "digits", 1), spec });
    };
    await applied(model.sha256);
    const path = `/apis/apps/v1/namespaces/${namespace}/deployments/digits`;
    type Spec = { replicas: number; template: unknown };
    const specNow = async () => (await get(path))?.spec as Spec | undefined;
    await eventually("its Deployment", specNow);
    await settled();
    const before = await specNow();
    let scaled: Promise<unknown> | undefined;
    proxy.fault = ({ method, url }) => {
      if (method !== "PATCH" || !url.startsWith(path) || scaled !== undefined) return undefined;
      const spec = { replicas: 5 };
      scaled = server.request("PATCH", `${path}/scale`, { spec }, "application/merge-patch+json");
      return { delay: 500 };
    };
    await applied("b".repeat(64));
    await eventually("the rollout", async () => {
      const template = JSON.stringify((await specNow())?.template);
      return template !== JSON.stringify(before?.template) && scaled;
    });
    await settled();
    expect(before?.replicas).toBe(2);
    expect((await specNow())?.replicas).toBe(5);
    expect(engine.log.lines.filter((line) => line.startsWith("error"))).toEqual([]);
  });

  test("children that are wanted no longer are deleted, and nobody else's", async () => {
    await create(namespace);
    const policy = "/apis/networking.k8s.io/v1/%/networkpolicies/digits";
    await eventually("its NetworkPolicy", () => get(policy));
    const theirs = {
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name: "digits-theirs", namespace, labels: { "naru.dev/model-serving": "digits" } },
    };
    await applyAs(server, "somebody", theirs);
    const { spec } = modelServing(namespace, "digits", 2);
    const without = { ...(spec as object), networkPolicy: { enabled: false } };
    await applyAs(server, "kubectl", { ...modelServing(namespace, "digits", 2), spec: without });
    await eventually("no NetworkPolicy", async () => (await get(policy)) === undefined);
    await settled();
    expect(await get("/api/v1/%/configmaps/digits-theirs")).toBeDefined();
    expect(await get("/apis/apps/v1/%/deployments/digits")).toBeDefined();
  });
});
