import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import type { Condition, KubeObject } from "../../operator/engine/objects.ts";
import { openConnection } from "../../operator/kube/open-connection.ts";
import { type ApiServer, missingAssets, startApiServer } from "../support/api-server.ts";
import { eventually } from "../support/eventually.ts";
import {
  ADD_ONS,
  addOnsIn,
  breakScaledObjects,
  installAddOns,
  mendScaledObjects,
  removeAddOns,
} from "./support/add-ons.ts";
import { startApiProxy } from "./support/api-proxy.ts";
import { type RunningEngine, startEngine } from "./support/engine.ts";
import { applyAs, installModelServing, modelServing, newNamespace } from "./support/kube.ts";

const missing = await missingAssets();
if (missing !== undefined) console.log(`skipped: add-ons that come and go: ${missing}`);

const RBAC = "/apis/rbac.authorization.k8s.io/v1";
const PATIENCE = 180_000;
/** What a definition that is installed or removed, and a right that is given or taken, may need to be noticed. */
const NOTICED = 60_000;
const READ = ["get", "list", "watch"];
const WRITE = ["create", "patch", "delete"];

describe.skipIf(missing !== undefined)("APIs that a cluster may lack or forbid", () => {
  let server: ApiServer;
  let namespace: string;
  const open: { stop(): Promise<void> }[] = [];

  beforeAll(async () => {
    server = await startApiServer();
    await installModelServing(server);
  });
  afterAll(async () => server?.stop());
  afterEach(async () => {
    for (const one of open.splice(0).reverse()) await one.stop();
    await removeAddOns(server);
  });

  /** Asks for every feature that needs an add-on. */
  const demanding = (name: string): KubeObject => ({
    ...modelServing(namespace, name, 1),
    spec: {
      model: (modelServing(namespace, name, 1).spec as { model: object }).model,
      autoscaling: { maxReplicas: 3, provider: "KEDA", metrics: [{ type: "Concurrency", target: 4 }] },
      traffic: { parentRefs: [{ name: "public" }], hostnames: ["digits.example"] },
      observability: { serviceMonitor: {} },
    },
  });
  const settings = { prometheusUrl: "http://prometheus.example:9090" };

  async function items(path: string): Promise<KubeObject[]> {
    const { status, body } = await server.request("GET", path.replace("%", `namespaces/${namespace}`));
    return status === 200 ? (body.items as KubeObject[]) : [];
  }

  async function condition(type: string, name = "digits"): Promise<Condition | undefined> {
    const all = await items("/apis/naru.dev/v1alpha1/%/modelservings");
    const found = all.find(({ metadata }) => metadata.name === name);
    return (found?.status as { conditions?: Condition[] } | undefined)?.conditions?.find(
      (one) => one.type === type,
    );
  }

  /** Repeats what expects until it holds; what did not is shown in the end. */
  const holds = (about: string, expectations: () => Promise<void>) =>
    eventually(
      about,
      async () => {
        await expectations();
        return true;
      },
      NOTICED,
    );

  const lacking = (about: string, reason: string) =>
    holds(about, async () => {
      expect(await condition("Degraded")).toMatchObject({ status: "True", reason });
      const routes = await condition("RoutesAccepted");
      expect(routes).toMatchObject({ status: "False", reason });
      expect(routes?.message).toContain("install the Gateway API");
      expect(await condition("ServiceMonitorApplied")).toMatchObject({ status: "False", reason });
      expect((await condition("ScalingActive"))?.message).toContain("install KEDA");
      // One stands in for KEDA.
      expect(await items("/apis/autoscaling/v2/%/horizontalpodautoscalers")).toHaveLength(1);
    });
  const present = (about: string) =>
    holds(about, async () => {
      expect(await addOnsIn(server, namespace)).toEqual(ADD_ONS.map(({ kind }) => kind));
      expect(await condition("Degraded")).toMatchObject({ status: "False" });
      expect(await condition("RoutesAccepted")).toMatchObject({ status: "Unknown" });
      expect(await condition("ServiceMonitorApplied")).toMatchObject({ status: "True" });
      expect((await condition("ScalingActive"))?.message).toContain("a ScaledObject on Concurrency 4");
      expect(await items("/apis/autoscaling/v2/%/horizontalpodautoscalers")).toEqual([]);
    });
  /** A resource that comes now gets what needs no add-on. */
  const worksOn = async (name: string): Promise<void> => {
    await applyAs(server, "kubectl", modelServing(namespace, name, 1));
    for (const path of ["apis/apps/v1/%/deployments", "api/v1/%/services"]) {
      await holds(`${path} of ${name}`, async () => {
        expect((await items(`/${path}`)).map(({ metadata }) => metadata.name)).toContain(name);
      });
    }
    expect(await condition("Degraded", name)).toMatchObject({ status: "False" });
  };
  const errors = ({ log }: RunningEngine) => log.lines.filter((line) => line.startsWith("error"));

  test(
    "missing, installed, removed and installed again: each time only what needs them is without, and says so",
    async () => {
      namespace = await newNamespace(server);
      const engine = await startEngine(await openConnection({ kubeconfig: server.kubeconfig }), { settings });
      open.push(engine);
      await applyAs(server, "kubectl", demanding("digits"));
      await lacking("missing from the start", "KindNotServed");
      await worksOn("while-missing");
      await installAddOns(server);
      await present("installed");
      await removeAddOns(server);
      await lacking("removed", "KindNotServed");
      await worksOn("while-removed");
      await installAddOns(server);
      await present("installed again");
      expect(errors(engine)).toEqual([]);
    },
    PATIENCE,
  );

  test(
    "forbidden, allowed and forbidden again: the same, and one that may be read but not written is named",
    async () => {
      namespace = await newNamespace(server);
      await installAddOns(server);
      const all = ["*"];
      await grant("base", [
        { apiGroups: ["", "apps", "policy", "autoscaling", "networking.k8s.io"], verbs: [...READ, ...WRITE] },
        { apiGroups: ["naru.dev"], verbs: [...READ, "update"] },
        { apiGroups: ["apiextensions.k8s.io"], verbs: READ },
      ]);
      const groups = [...new Set(ADD_ONS.map(({ group }) => group))];
      const limited = await openConnection({ kubeconfig: server.limitedKubeconfig });
      const may = async (resource: string) => {
        const path = `/apis/authorization.k8s.io/v1/subjectaccessreviews`;
        const resourceAttributes = { verb: "list", group: "apps", resource, namespace };
        const { body } = await server.request("POST", path, {
          spec: { user: "limited", resourceAttributes },
        });
        return (body.status as { allowed: boolean }).allowed;
      };
      await eventually("the first rights", () => may("deployments"));
      const proxy = await startApiProxy(limited);
      open.push(proxy);
      const engine = await startEngine(proxy.connection, { settings, timing: { longestRetry: 500 } });
      open.push(engine);
      await applyAs(server, "kubectl", demanding("digits"));
      await lacking("forbidden from the start", "KindNotServed");
      await worksOn("while-forbidden");

      await grant("add-ons", [{ apiGroups: groups, verbs: READ }]);
      await holds("read and not written", async () => {
        const degraded = await condition("Degraded");
        expect(degraded).toMatchObject({ status: "True", reason: "ChildForbidden" });
        expect(degraded?.message).toMatch(
          /^(ScaledObject|HTTPRoute|GRPCRoute|ServiceMonitor) digits was refused/,
        );
        expect(await condition("ServiceMonitorApplied")).toMatchObject({ reason: "ChildForbidden" });
      });
      await worksOn("while-read-only");
      await grant("add-ons", [{ apiGroups: groups, verbs: [...READ, ...WRITE] }]);
      await present("allowed");

      await grant("add-ons", []);
      // A watch that is open is not ended by a right that is taken; it is some minutes later, when it is renewed.
      await holds("forbidden again", async () => {
        proxy.cutWatches();
        expect(engine.cluster.serves({ apiVersion: "keda.sh/v1alpha1", kind: "ScaledObject" })).toBe(false);
      });
      await lacking("forbidden again", "KindNotServed");
      await worksOn("while-forbidden-again");
      expect(errors(engine)).toEqual([]);

      async function grant(name: string, rules: { apiGroups: string[]; verbs: string[] }[]): Promise<void> {
        const roleRef = { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name };
        const subjects = [{ apiGroup: "rbac.authorization.k8s.io", kind: "User", name: "limited" }];
        const role = {
          apiVersion: "rbac.authorization.k8s.io/v1",
          kind: "ClusterRole",
          metadata: { name },
          rules: rules.map((rule) => ({ ...rule, resources: all })),
        };
        const path = `${RBAC}/clusterroles/${name}?fieldManager=test&force=true`;
        const { status, body } = await server.request("PATCH", path, role, "application/apply-patch+yaml");
        if (status >= 300) throw new Error(`${name}: ${String(body.message)}`);
        await server.request("POST", `${RBAC}/clusterrolebindings`, {
          metadata: { name },
          roleRef,
          subjects,
        });
      }
    },
    PATIENCE,
  );

  test(
    "one that its own webhook keeps from being listed: the operator starts, and what there is of it stays",
    async () => {
      namespace = await newNamespace(server);
      await installAddOns(server);
      const started = async () => {
        const engine = await startEngine(await openConnection({ kubeconfig: server.kubeconfig }), {
          settings,
          timing: { longestRetry: 500 },
        });
        open.push(engine);
        return engine;
      };
      const before = await started();
      await applyAs(server, "kubectl", demanding("digits"));
      await present("before");
      await before.stop();

      await breakScaledObjects(server, namespace);
      const engine = await started();
      await holds("KEDA hidden", async () => {
        expect(await condition("ScalingActive")).toMatchObject({
          status: "Unknown",
          reason: "KindNotListed",
        });
        expect(await condition("RoutesAccepted")).toMatchObject({
          status: "Unknown",
          reason: "NotAcceptedYet",
        });
        expect(await condition("ServiceMonitorApplied")).toMatchObject({ status: "True" });
        // Nobody can do anything about it here, and it passes.
        expect(await condition("Degraded")).toMatchObject({ status: "False" });
      });
      await worksOn("while-hidden");
      // A ScaledObject may be there: an autoscaler beside it would stop both.
      expect(await items("/apis/autoscaling/v2/%/horizontalpodautoscalers")).toEqual([]);
      await mendScaledObjects(server);
      await present("listed again");
      expect(errors(engine)).toEqual([]);
    },
    PATIENCE,
  );

  test("metrics that nobody serves are the autoscaler's own word, and so is that they have come", async () => {
    namespace = await newNamespace(server);
    const engine = await startEngine(await openConnection({ kubeconfig: server.kubeconfig }));
    open.push(engine);
    const { spec } = demanding("digits") as { spec: { model: object } };
    await applyAs(server, "kubectl", {
      ...demanding("digits"),
      spec: { model: spec.model, autoscaling: { maxReplicas: 3 } },
    });
    const path = `/apis/autoscaling/v2/namespaces/${namespace}/horizontalpodautoscalers`;
    const [scaler] = await eventually("a HorizontalPodAutoscaler", async () => {
      const found = await items("/apis/autoscaling/v2/%/horizontalpodautoscalers");
      return found.length > 0 && found;
    });
    /** As the autoscaler's controller writes it. */
    const says = async (status: string, reason: string, message: string) => {
      const able = { type: "AbleToScale", status: "True", reason: "SucceededGetScale", message: "" };
      const conditions = [able, { type: "ScalingActive", status, reason, message }].map((one) => ({
        ...one,
        lastTransitionTime: "2026-01-02T03:04:05Z",
      }));
      const body = { status: { currentReplicas: 1, desiredReplicas: 1, conditions } };
      const name = scaler?.metadata.name;
      await server.request("PATCH", `${path}/${name}/status`, body, "application/merge-patch+json");
    };
    const noMetrics = "unable to fetch metrics from resource metrics API: the server could not find it";
    await says("False", "FailedGetResourceMetric", noMetrics);
    await holds("the autoscaler's word", async () => {
      const scaling = await condition("ScalingActive");
      expect(scaling).toMatchObject({ status: "False", reason: "FailedGetResourceMetric" });
      expect(scaling?.message).toContain(noMetrics);
    });
    expect(await condition("Degraded")).toMatchObject({ status: "False" });
    await says("True", "ValidMetricFound", "");
    await holds("metrics", async () => {
      expect(await condition("ScalingActive")).toMatchObject({ status: "True", reason: "Scaling" });
    });
  });
});
