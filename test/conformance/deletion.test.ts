import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { ModelServingStatus } from "../../crds/model-serving.ts";
import type { KubeObject } from "../../operator/engine/objects.ts";
import { openConnection } from "../../operator/kube/open-connection.ts";
import { type ApiServer, missingAssets, startApiServer } from "../support/api-server.ts";
import { eventually } from "../support/eventually.ts";
import { type ApiProxy, startApiProxy } from "./support/api-proxy.ts";
import { type CanaryMoves, canaryMoves } from "./support/canary.ts";
import { type RunningEngine, startEngine } from "./support/engine.ts";
import { installModelServing, newNamespace } from "./support/kube.ts";

const missing = await missingAssets();
if (missing !== undefined) console.log(`skipped: deletion on a real API server: ${missing}`);

const NAME = "digits";
const PATIENCE = 120_000;
/** Kinds of children, those first whose going the operator would mend first. */
const CHILDREN = [
  "apis/apps/v1/%/deployments",
  "api/v1/%/services",
  "api/v1/%/configmaps",
  "apis/policy/v1/%/poddisruptionbudgets",
  "apis/networking.k8s.io/v1/%/networkpolicies",
  "api/v1/%/serviceaccounts",
  "apis/apps/v1/%/controllerrevisions",
];

describe.skipIf(missing !== undefined)("what is deleted while a canary is under way", () => {
  let server: ApiServer;
  let folder: string;
  let proxy: ApiProxy;
  let engine: RunningEngine;
  let canary: CanaryMoves;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "naru-deletion-"));
    server = await startApiServer();
    await installModelServing(server);
  });
  afterAll(async () => {
    await server?.stop();
    await rm(folder, { recursive: true, force: true });
  });
  beforeEach(async () => {
    canary = canaryMoves(server, folder, NAME);
    proxy = await startApiProxy(await openConnection({ kubeconfig: server.kubeconfig }));
    engine = await startEngine(proxy.connection);
  });
  afterEach(async () => {
    await engine.stop();
    await proxy.stop();
    await canary.close();
  });

  /** A canary in its first step; answers the namespace and the resource's path. */
  async function underWay(): Promise<{ namespace: string; path: string }> {
    const namespace = await newNamespace(server);
    const path = `/apis/naru.dev/v1alpha1/namespaces/${namespace}/modelservings/${NAME}`;
    const status = async () => ((await get(path))?.status ?? {}) as ModelServingStatus;
    for (const [name, move] of Object.entries(canary.moves)) {
      await move(namespace);
      if (name === "first pods") {
        await eventually("a stable revision", async () => (await status()).revision !== undefined);
      }
    }
    await eventually("the canary's step", async () => {
      const { phase, weightPercent } = (await status()).canary ?? {};
      return phase === "Stepping" && weightPercent === 5;
    });
    expect((await get(path))?.metadata.finalizers).toBeUndefined();
    expect((await children(namespace)).length).toBeGreaterThan(12);
    return { namespace, path };
  }

  async function get(path: string): Promise<KubeObject | undefined> {
    const { status, body } = await server.request("GET", path);
    return status === 200 ? (body as unknown as KubeObject) : undefined;
  }

  /** Paths of what the resource owned. */
  async function children(namespace: string): Promise<string[]> {
    const found: string[] = [];
    for (const kind of CHILDREN) {
      const path = `/${kind.replace("%", `namespaces/${namespace}`)}`;
      const { body } = await server.request("GET", path);
      const owned = ((body.items ?? []) as KubeObject[]).filter(({ metadata }) =>
        metadata.ownerReferences?.some((owner) => owner.name === NAME),
      );
      for (const { metadata } of owned) found.push(`${path}/${metadata.name}`);
    }
    return found;
  }

  const writes = () =>
    proxy.seen.filter(({ method, url }) => method !== "GET" && !/\/events\b/.test(url)).map(({ url }) => url);
  /** Once nothing has been written, nor decided, for a while. */
  const settled = async (): Promise<void> => {
    let before = "";
    let quiet = 0;
    await eventually("nothing happens any more", () => {
      const now = `${writes().length} ${engine.decisions}`;
      quiet = now === before ? quiet + 1 : 0;
      before = now;
      return quiet > 30;
    });
  };
  const troubles = () => engine.log.lines.filter((line) => /^(warn|error)/.test(line));
  const gone = (path: string) =>
    eventually(`${path} gone from the cache`, () => {
      const [, namespace = "", plural = "", name = ""] =
        /namespaces\/([^/]+)\/([^/]+)\/([^/]+)$/.exec(path) ?? [];
      const kind = KINDS[plural];
      return kind === undefined || engine.cluster.get({ ...kind, namespace, name }) === undefined;
    });

  test.each(["Foreground", "Background"])(
    "%s: the collector takes the children one by one, none is made again, and no finalizer of ours is in its way",
    async (propagationPolicy) => {
      const { namespace, path } = await underWay();
      const owned = await children(namespace);
      const before = writes().length;
      await server.request("DELETE", path, { kind: "DeleteOptions", apiVersion: "v1", propagationPolicy });
      const left = await get(path);
      // The collector's own, until the children are gone.
      expect(left?.metadata.finalizers).toEqual(
        propagationPolicy === "Foreground" ? ["foregroundDeletion"] : undefined,
      );
      for (const child of owned) {
        await server.request("DELETE", child);
        await gone(child);
      }
      await settled();
      expect(await children(namespace)).toEqual([]);
      expect(writes().slice(before)).toEqual([]);
      const emptied = { metadata: { finalizers: null } };
      if (left !== undefined) await server.request("PATCH", path, emptied, "application/merge-patch+json");
      expect(await get(path)).toBeUndefined();
      expect(troubles()).toEqual([]);
    },
    PATIENCE,
  );

  test(
    "a namespace: while it ends nothing is made again, tried again or complained of",
    async () => {
      const { namespace, path } = await underWay();
      await server.request("DELETE", `/api/v1/namespaces/${namespace}`);
      expect((await get(`/api/v1/namespaces/${namespace}`))?.status).toMatchObject({ phase: "Terminating" });
      const before = writes().length;
      // In the order that is worst for the operator: what it would make again goes first, the resource itself last.
      const owned = await children(namespace);
      for (const child of owned) {
        await server.request("DELETE", child);
        await gone(child);
      }
      await settled();
      expect(await children(namespace)).toEqual([]);
      const tried = writes()
        .slice(before)
        .filter((url) => !url.includes("/status"));
      // It can't know before it has tried, and tries once for what it is told of.
      expect(tried.length).toBeGreaterThan(0);
      expect(tried.length).toBeLessThanOrEqual(2 * owned.length);
      expect(troubles()).toEqual([]);
      await server.request("DELETE", path);
      await gone(path);
      await settled();
      expect(await get(path)).toBeUndefined();
      // What the namespace's controller does once it is empty.
      const ended = {
        apiVersion: "v1",
        kind: "Namespace",
        metadata: { name: namespace },
        spec: { finalizers: [] },
      };
      await server.request("PUT", `/api/v1/namespaces/${namespace}/finalize`, ended);
      expect(await get(`/api/v1/namespaces/${namespace}`)).toBeUndefined();
      expect(troubles()).toEqual([]);
    },
    PATIENCE,
  );

  test(
    "by the real garbage collector and namespace controller: nothing is left, and nothing complained of",
    async ({ skip }) => {
      const [foreground, background, ended] = [await underWay(), await underWay(), await underWay()];
      const options = (propagationPolicy: string) => ({
        kind: "DeleteOptions",
        apiVersion: "v1",
        propagationPolicy,
      });
      await server.request("DELETE", foreground.path, options("Foreground"));
      await server.request("DELETE", background.path, options("Background"));
      await server.request("DELETE", `/api/v1/namespaces/${ended.namespace}`);
      // Not before: pods of no ReplicaSet, as these are, would be collected at once.
      if (!(await server.startControllers()))
        return skip("KUBEBUILDER_ASSETS has no kube-controller-manager");
      for (const { namespace, path } of [foreground, background, ended]) {
        await eventually(`${path} gone`, async () => (await get(path)) === undefined, PATIENCE);
        await eventually(
          `children in ${namespace} gone`,
          async () => (await children(namespace)).length === 0,
          PATIENCE,
        );
      }
      const namespacePath = `/api/v1/namespaces/${ended.namespace}`;
      await eventually("the namespace gone", async () => (await get(namespacePath)) === undefined, PATIENCE);
      await settled();
      for (const { namespace } of [foreground, background]) expect(await children(namespace)).toEqual([]);
      expect(troubles()).toEqual([]);
    },
    PATIENCE,
  );
});

const KINDS: Readonly<Record<string, { apiVersion: string; kind: string }>> = {
  configmaps: { apiVersion: "v1", kind: "ConfigMap" },
  controllerrevisions: { apiVersion: "apps/v1", kind: "ControllerRevision" },
  deployments: { apiVersion: "apps/v1", kind: "Deployment" },
  modelservings: { apiVersion: "naru.dev/v1alpha1", kind: "ModelServing" },
  networkpolicies: { apiVersion: "networking.k8s.io/v1", kind: "NetworkPolicy" },
  poddisruptionbudgets: { apiVersion: "policy/v1", kind: "PodDisruptionBudget" },
  serviceaccounts: { apiVersion: "v1", kind: "ServiceAccount" },
  services: { apiVersion: "v1", kind: "Service" },
};
