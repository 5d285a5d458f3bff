import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { KubeObject } from "../../operator/engine/objects.ts";
import type { KubeCluster, KubeClusterOptions } from "../../operator/kube/cluster.ts";
import { openConnection } from "../../operator/kube/open-connection.ts";
import { type ApiServer, missingAssets, startApiServer } from "../support/api-server.ts";
import { eventually } from "../support/eventually.ts";
import { type ApiProxy, startApiProxy } from "./support/api-proxy.ts";
import { applyAs, CONFIG_MAP, newNamespace, openCluster, pathOf } from "./support/kube.ts";

const missing = await missingAssets();
if (missing !== undefined) console.log(`skipped: the Kubernetes adapter under faults: ${missing}`);

describe.skipIf(missing !== undefined)("the Kubernetes adapter, when the network or the server fails", () => {
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

  const configMap = (name: string, value: string): KubeObject => ({
    ...CONFIG_MAP,
    metadata: { name, namespace },
    data: { value },
  });
  const put = (name: string, value: string) => applyAs(server, "somebody", configMap(name, value));
  const remove = (name: string) => server.request("DELETE", pathOf({ ...CONFIG_MAP, namespace, name }));
  const isOurs = (url: string, query: string) => url.startsWith("/api/v1/configmaps?") && url.includes(query);

  /** A cluster behind the proxy, and everything that a watch of the namespace's ConfigMaps was told. */
  const watching = async (options: Partial<KubeClusterOptions> = {}) => {
    const opened = await openCluster(proxy.connection, options);
    open.push(opened);
    const { cluster, log } = opened;
    const told: string[] = [];
    await cluster.watch({ ...CONFIG_MAP, namespace }, ({ type, object }) => {
      told.push(`${type} ${object.metadata.name} ${(object.data as { value: string }).value}`);
    });
    await watchOpen();
    return { cluster, log, told };
  };
  const watchOpen = () =>
    eventually("the watch open", () => proxy.openWatches().some((url) => isOurs(url, "watch=true")));
  const shows = (cluster: KubeCluster, name: string, value: string | undefined) =>
    eventually(`${name} as ${value}`, () => {
      const object = cluster.get({ ...CONFIG_MAP, namespace, name });
      return (object?.data as { value: string } | undefined)?.value === value;
    });

  test("a watch whose connection is cut goes on from where it was: nothing is listed, lost or told twice", async () => {
    await put("a", "1");
    const { cluster, told } = await watching();
    const lists = () => proxy.seen.filter(({ url }) => isOurs(url, "limit=")).length;
    const before = lists();
    for (const value of ["2", "3", "4"]) {
      await watchOpen();
      proxy.cutWatches();
      await put("a", value);
      await put(`b${value}`, value);
      await shows(cluster, `b${value}`, value);
    }
    expect(told).toEqual([
      "Added a 1",
      "Modified a 2",
      "Added b2 2",
      "Modified a 3",
      "Added b3 3",
      "Modified a 4",
      "Added b4 4",
    ]);
    expect(lists()).toBe(before);
  });

  test("a connection that is cut in the middle of an event loses nothing", async () => {
    const { cluster, told } = await watching();
    proxy.cutWatchesAfter(150);
    await put("a", "x".repeat(1000));
    await shows(cluster, "a", "x".repeat(1000));
    await remove("a");
    await shows(cluster, "a", undefined);
    expect(told).toEqual([`Added a ${"x".repeat(1000)}`, `Deleted a ${"x".repeat(1000)}`]);
  });

  test("a watch that went silent without a word is noticed", async () => {
    const { cluster, told } = await watching({ timing: { silence: 2_000 } });
    proxy.muteWatches();
    await put("a", "1");
    await shows(cluster, "a", "1");
    expect(told).toEqual(["Added a 1"]);
  });

  test("an API server that is killed and started again ends no watch", async () => {
    await put("a", "1");
    const { cluster, told } = await watching();
    await server.restart();
    await put("a", "2");
    await remove("a");
    await put("b", "1");
    await shows(cluster, "b", "1");
    expect(told).toEqual(["Added a 1", "Modified a 2", "Deleted a 2", "Added b 1"]);
    expect(cluster.serves(CONFIG_MAP)).toBe(true);
  });

  test("a version that etcd has forgotten is answered by a new listing that tells what happened meanwhile", async () => {
    for (const name of ["changed", "deleted", "remade", "same"]) await put(name, "1");
    const { cluster, log, told } = await watching();
    told.length = 0;
    let cut = true;
    proxy.fault = ({ url }) => (cut && isOurs(url, "watch=true") ? { answer: 503 } : undefined);
    proxy.cutWatches();
    await put("changed", "2");
    await remove("deleted");
    await remove("remade");
    await put("remade", "2");
    await put("new", "1");
    // A server that starts anew has no memory of its own of what etcd forgot.
    await server.compact();
    await server.restart();
    const seen = proxy.seen.length;
    cut = false;
    await shows(cluster, "new", "1");
    await shows(cluster, "deleted", undefined);
    expect(told.toSorted()).toEqual(
      [
        "Modified changed 2",
        "Deleted deleted 1",
        "Deleted remade 1",
        "Added remade 2",
        "Added new 1",
      ].toSorted(),
    );
    expect(told.indexOf("Deleted remade 1")).toBeLessThan(told.indexOf("Added remade 2"));
    expect(proxy.seen.slice(seen).filter(({ url }) => isOurs(url, "limit="))).toHaveLength(1);
    expect(log.lines.join("\n")).toContain("listing again");
    await put("same", "2");
    await shows(cluster, "same", "2");
  });

  test("a server that is slow, fails and asks to come later is asked again until it answers", async () => {
    await put("a", "1");
    const faults = [
      { answer: 500 },
      { answer: 429, headers: { "retry-after": "1" } },
      { cutAfter: 20 },
      { delay: 500 },
    ];
    proxy.fault = ({ url }) => (isOurs(url, "limit=") ? faults.shift() : undefined);
    const { told } = await watching();
    expect(told).toEqual(["Added a 1"]);
    expect(faults).toEqual([]);
  });

  test("a write that is asked to come later waits as long as it was told, and is sent once more", async () => {
    const { cluster } = await watching();
    let refuse = 1;
    proxy.fault = ({ method }) =>
      method === "PATCH" && refuse-- > 0 ? { answer: 429, headers: { "retry-after": "1" } } : undefined;
    const from = performance.now();
    const { object } = await cluster.apply(configMap("a", "1"));
    expect(performance.now() - from).toBeGreaterThanOrEqual(1000);
    expect(object.data).toEqual({ value: "1" });
    expect(proxy.seen.filter(({ method }) => method === "PATCH")).toHaveLength(2);
  });

  test("a write that failed or found nobody is Unavailable, and not sent again", async () => {
    const { cluster } = await watching();
    proxy.fault = ({ method }) => (method === "PATCH" ? { answer: 500 } : undefined);
    await expect(cluster.apply(configMap("a", "1"))).rejects.toMatchObject({ code: "Unavailable" });
    expect(proxy.seen.filter(({ method }) => method === "PATCH")).toHaveLength(1);
    proxy.fault = ({ method }) => (method === "PATCH" ? { cutAfter: 20 } : undefined);
    await expect(cluster.apply(configMap("a", "1"))).rejects.toMatchObject({ code: "Unavailable" });
  });

  test("a write that waited is not sent once the lease may be lost", async () => {
    let leads = true;
    const { cluster } = await watching({ mayWrite: () => leads });
    proxy.fault = ({ method }) => {
      if (method !== "PATCH") return undefined;
      leads = false;
      return { answer: 429, headers: { "retry-after": "1" } };
    };
    await expect(cluster.apply(configMap("a", "1"))).rejects.toMatchObject({ name: "WritesFenced" });
    expect(proxy.seen.filter(({ method }) => method === "PATCH")).toHaveLength(1);
    await expect(cluster.delete({ ...CONFIG_MAP, namespace, name: "a" })).rejects.toMatchObject({
      name: "WritesFenced",
    });
    expect(proxy.seen.filter(({ method }) => method === "DELETE")).toEqual([]);
  });

  test("stop ends watches and backoff at once, and nothing is asked after it", async () => {
    const { cluster } = await watching({ timing: { firstRetry: 600_000, longestRetry: 600_000 } });
    proxy.fault = () => ({ answer: 500 });
    proxy.cutWatches();
    await eventually("the watch asked again and refused", () =>
      proxy.seen.at(-1)?.url.includes("watch=true"),
    );
    await cluster.stop();
    const seen = proxy.seen.length;
    await put("a", "1");
    expect(proxy.seen).toHaveLength(seen);
  });

  test("opening gives up when it is told to, however long the server says nothing", async () => {
    proxy.fault = () => ({ swallow: true });
    const giveUp = new AbortController();
    const opening = openCluster(proxy.connection, {}, giveUp.signal);
    await eventually("the first request", () => proxy.seen.length > 0);
    giveUp.abort(new Error("told to"));
    await expect(opening).rejects.toThrow("told to");
  });
});
