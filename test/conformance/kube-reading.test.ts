import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { KubeObject } from "../../operator/engine/objects.ts";
import type { KubeClusterOptions } from "../../operator/kube/cluster.ts";
import { openConnection } from "../../operator/kube/open-connection.ts";
import { type ApiServer, missingAssets, startApiServer } from "../support/api-server.ts";
import { eventually } from "../support/eventually.ts";
import { type ApiProxy, startApiProxy } from "./support/api-proxy.ts";
import { applyAs, CONFIG_MAP, newNamespace, openCluster, SERVICE } from "./support/kube.ts";

const missing = await missingAssets();
if (missing !== undefined) console.log(`skipped: how the Kubernetes adapter reads: ${missing}`);

const GROUP = "test.naru.dev";
const WIDGET = { apiVersion: `${GROUP}/v1`, kind: "Widget" } as const;
const DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const DEFINITION = {
  apiVersion: "apiextensions.k8s.io/v1",
  kind: "CustomResourceDefinition",
  metadata: { name: `widgets.${GROUP}` },
  spec: {
    group: GROUP,
    scope: "Namespaced",
    names: { kind: "Widget", plural: "widgets" },
    versions: [
      {
        name: "v1",
        served: true,
        storage: true,
        schema: {
          openAPIV3Schema: { type: "object", "x-kubernetes-preserve-unknown-fields": true },
        },
      },
    ],
  },
};

describe.skipIf(missing !== undefined)("how the Kubernetes adapter reads a real API server", () => {
  let server: ApiServer;
  let proxy: ApiProxy;
  let namespace: string;
  const open: { stop(): Promise<void> }[] = [];

  beforeAll(async () => {
    server = await startApiServer();
  });
  afterAll(async () => server?.stop());
  beforeEach(async () => {
    proxy = await startApiProxy(await openConnection({ kubeconfig: server.kubeconfig }));
    open.push(proxy);
    namespace = await newNamespace(server);
  });
  afterEach(async () => {
    for (const one of open.splice(0).reverse()) await one.stop();
  });

  const opened = async (options: Partial<KubeClusterOptions> = {}, connection = proxy.connection) => {
    const one = await openCluster(connection, options);
    open.push(one);
    return one.cluster;
  };
  const configMap = (name: string, within = namespace, labels: Record<string, string> = {}): KubeObject => ({
    ...CONFIG_MAP,
    metadata: { name, namespace: within, labels },
    data: { value: name },
  });
  const names = (objects: readonly KubeObject[]) => objects.map(({ metadata }) => metadata.name);

  test("1,000 resources come in pages of 500, whole and without who holds which field", async () => {
    const wanted = Array.from({ length: 1000 }, (_, index) => `item-${String(index).padStart(4, "0")}`);
    for (let from = 0; from < wanted.length; from += 50) {
      const some = wanted.slice(from, from + 50);
      await Promise.all(some.map((name) => applyAs(server, "somebody", configMap(name))));
    }
    const cluster = await opened();
    const items = cluster.list({ ...CONFIG_MAP, namespace });
    expect(names(items)).toEqual(wanted);
    expect(items[7]).toMatchObject({ ...CONFIG_MAP, data: { value: "item-0007" } });
    expect(items.filter(({ metadata }) => metadata.managedFields !== undefined)).toEqual([]);
    const pages = proxy.seen.filter(({ url }) => url.startsWith("/api/v1/configmaps?limit=500"));
    expect(pages.length).toBeGreaterThanOrEqual(2);
    expect(pages.slice(1).every(({ url }) => url.includes("continue="))).toBe(true);
  });

  test("at rest it asks for nothing: there is one watch a kind, and one for definitions", async () => {
    const cluster = await opened({ kinds: [CONFIG_MAP, SERVICE] });
    await eventually("three watches", () => proxy.openWatches().length === 3);
    const before = proxy.seen.length;
    await applyAs(server, "somebody", configMap("a"));
    await eventually("what was applied", () => cluster.get({ ...CONFIG_MAP, namespace, name: "a" }));
    expect(proxy.seen.length).toBe(before);
    expect(proxy.openWatches().every((url) => url.includes("allowWatchBookmarks=true"))).toBe(true);
  });

  test("only the namespaces that are to be looked at are asked for", async () => {
    const other = await newNamespace(server);
    const third = await newNamespace(server);
    for (const each of [namespace, other, third]) await applyAs(server, "somebody", configMap("a", each));
    const cluster = await opened({ namespaces: [namespace, other] });
    expect(cluster.list(CONFIG_MAP).map(({ metadata }) => metadata.namespace)).toEqual(
      [namespace, other].sort(),
    );
    expect(proxy.seen.some(({ url }) => url.startsWith("/api/v1/configmaps"))).toBe(false);
    await applyAs(server, "somebody", configMap("b", other));
    await eventually("a change in the second", () => cluster.list(CONFIG_MAP).length === 3);
  });

  test("a kind can be read by label, and as metadata alone, and is still told of by its own name", async () => {
    await applyAs(server, "somebody", configMap("ours", namespace, { side: "left" }));
    await applyAs(server, "somebody", configMap("theirs"));
    const cluster = await opened({
      kinds: [{ ...CONFIG_MAP, labelSelector: "side", metadataOnly: true, index: "side" }],
    });
    const [only, ...others] = cluster.list({ ...CONFIG_MAP, namespace, labels: { side: "left" } });
    expect(others).toEqual([]);
    expect(only).toMatchObject({ ...CONFIG_MAP, metadata: { name: "ours", labels: { side: "left" } } });
    expect(only?.data).toBeUndefined();
    expect(names(cluster.list({ ...CONFIG_MAP, namespace }))).toEqual(["ours"]);
    await applyAs(server, "somebody", configMap("later", namespace, { side: "left" }));
    await eventually("what came later", () => cluster.get({ ...CONFIG_MAP, namespace, name: "later" }));
    await applyAs(server, "somebody", configMap("ours", namespace, { side: "right" }));
    await eventually("the move", () =>
      names(cluster.list({ ...CONFIG_MAP, namespace, labels: { side: "right" } })).includes("ours"),
    );
    expect(names(cluster.list({ ...CONFIG_MAP, namespace, labels: { side: "left" } }))).toEqual(["later"]);
  });

  test("a kind that is installed later is served, listed and told of, and gone once it is removed", async () => {
    const cluster = await opened({ kinds: [WIDGET] });
    const told: string[] = [];
    const watch = await cluster.watch(WIDGET, ({ type, object }) => {
      told.push(`${type} ${object.metadata.name}`);
    });
    expect(cluster.serves(WIDGET)).toBe(false);
    const widget = { ...WIDGET, metadata: { name: "w", namespace }, spec: { size: 1 } };
    await expect(cluster.apply(widget)).rejects.toMatchObject({ code: "NotServed" });
    await server.request("POST", DEFINITIONS, DEFINITION);
    await eventually("the kind served", () => cluster.serves(WIDGET), 30_000);
    await eventually("a first listing", () => {
      // Until then it is not known what there is, and nobody may decide as if there were nothing.
      return cluster.list(WIDGET).length === 0;
    });
    await eventually("an apply", async () => cluster.apply(widget));
    await eventually("the widget told of", () => told.includes("Added w"));
    await server.request("DELETE", `${DEFINITIONS}/widgets.${GROUP}`);
    await eventually("its deletion told", () => told.includes("Deleted w"));
    await eventually("the kind not served any more", () => !cluster.serves(WIDGET), 30_000);
    expect(cluster.get({ ...WIDGET, namespace, name: "w" })).toBeUndefined();
    watch.stop();
    expect(told).toEqual(["Added w", "Deleted w"]);
  });

  test("a kind that may not be read is not served, and is from when it may", async () => {
    const rights = async (resources: readonly string[]) => {
      const role = { rules: [{ apiGroups: [""], resources, verbs: ["get", "list", "watch"] }] };
      const metadata = { name: "limited" };
      const root = "/apis/rbac.authorization.k8s.io/v1";
      await server.request("DELETE", `${root}/clusterroles/limited`);
      await server.request("POST", `${root}/clusterroles`, { metadata, ...role });
      await server.request("POST", `${root}/clusterrolebindings`, {
        metadata,
        roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "limited" },
        subjects: [{ apiGroup: "rbac.authorization.k8s.io", kind: "User", name: "limited" }],
      });
    };
    await rights(["configmaps"]);
    await applyAs(server, "somebody", configMap("a"));
    const limited = await openConnection({ kubeconfig: server.limitedKubeconfig });
    await eventually("the rights", async () => {
      const cluster = await opened({ kinds: [CONFIG_MAP, SERVICE] }, limited);
      return cluster.serves(CONFIG_MAP);
    });
    const cluster = await opened({ kinds: [CONFIG_MAP, SERVICE], timing: { longestRetry: 500 } }, limited);
    expect(cluster.serves(SERVICE)).toBe(false);
    expect(cluster.list(SERVICE)).toEqual([]);
    expect(names(cluster.list({ ...CONFIG_MAP, namespace }))).toEqual(["a"]);
    await expect(cluster.apply(configMap("b"))).rejects.toMatchObject({ code: "Forbidden" });
    const service: KubeObject = {
      ...SERVICE,
      metadata: { name: "s", namespace },
      spec: { ports: [{ port: 80 }] },
    };
    await applyAs(server, "somebody", service);
    const told: string[] = [];
    await cluster.watch({ ...SERVICE, namespace }, ({ type, object }) => {
      told.push(`${type} ${object.metadata.name}`);
    });
    expect(told).toEqual([]);
    await rights(["configmaps", "services"]);
    await eventually("Services served", () => cluster.serves(SERVICE));
    await eventually("what there is told of", () => told.includes("Added s"));
  });

  test("what is not listed yet is Unavailable, not absent", async () => {
    const cluster = await opened({ kinds: [] });
    await applyAs(server, "somebody", configMap("a"));
    const ref = { ...CONFIG_MAP, namespace, name: "a" };
    expect(() => cluster.get(ref)).toThrow("not listed yet");
    await eventually("the object", () => cluster.get(ref));
  });
});
