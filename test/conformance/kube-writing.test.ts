import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { KubeObject, ObjectRef } from "../../operator/engine/objects.ts";
import { startControllers } from "../../operator/engine/start.ts";
import { openConnection } from "../../operator/kube/open-connection.ts";
import { MODEL_SERVING, modelServingKind } from "../../operator/model-serving/kind.ts";
import { openRouterSigner } from "../../operator/model-serving/router-signer.ts";
import { type ApiServer, missingAssets, startApiServer } from "../support/api-server.ts";
import { eventually } from "../support/eventually.ts";
import { type ApiProxy, startApiProxy } from "./support/api-proxy.ts";
import {
  applyAs,
  CONFIG_MAP,
  installModelServing,
  modelServing,
  newNamespace,
  openCluster,
  pathOf,
  recordedLog,
} from "./support/kube.ts";

const missing = await missingAssets();
if (missing !== undefined) console.log(`skipped: what the Kubernetes adapter writes: ${missing}`);

const DEPLOYMENT = { apiVersion: "apps/v1", kind: "Deployment" } as const;

describe.skipIf(missing !== undefined)("what the Kubernetes adapter writes to a real API server", () => {
  let server: ApiServer;
  let proxy: ApiProxy;
  let namespace: string;
  const open: { stop(): Promise<void> }[] = [];

  beforeAll(async () => {
    server = await startApiServer();
    await installModelServing(server);
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

  const get = async (ref: ObjectRef) =>
    (await server.request("GET", pathOf(ref))).body as unknown as KubeObject;
  const kubectl = (...args: string[]) =>
    promisify(execFile)(server.kubectl, ["--kubeconfig", server.kubeconfig, "-n", namespace, ...args], {
      env: { ...process.env, HOME: "/nonexistent" },
    });
  const eventsOf = async (reason: string) => {
    const { body } = await server.request("GET", `/api/v1/namespaces/${namespace}/events`);
    return (body.items as { reason: string; message: string; count: number }[]).filter(
      (event) => event.reason === reason,
    );
  };
  const writes = () => proxy.seen.filter(({ method }) => method !== "GET");

  /** The engine with the real decisions, on a ModelServing whose children were applied. */
  const serving = async (name: string) => {
    const signer = await openRouterSigner({ read: async () => undefined, create: async (pem) => pem });
    const kind = modelServingKind(
      { runtimeImage: "registry.example/naru/runtime:1", namespace: "naru" },
      signer,
    );
    const opened = await openCluster(proxy.connection, { kinds: [kind.kind, ...kind.owns] });
    open.push(opened);
    const log = recordedLog();
    let decisions = 0;
    const counted: typeof kind = {
      ...kind,
      decide: (...about) => {
        decisions += 1;
        return kind.decide(...about);
      },
    };
    const engine = await startControllers({ cluster: opened.cluster, kinds: [counted], log });
    open.push(engine);
    const resource = modelServing(namespace, name, 2);
    await applyAs(server, "kubectl", resource);
    const deployment = await eventually("its Deployment in the cache", () =>
      opened.cluster.list({ ...DEPLOYMENT, namespace }).at(0),
    );
    const ref = { ...MODEL_SERVING, namespace, name };
    await settled();
    return { decisions: () => decisions, log, deployment, ref };
  };
  /** Once nothing has been written for a while. */
  const settled = async (): Promise<void> => {
    let before = writes().length;
    let quiet = 0;
    await eventually("no more writes", () => {
      quiet = writes().length === before ? quiet + 1 : 0;
      before = writes().length;
      return quiet > 50;
    });
  };
  const refOf = ({ metadata }: KubeObject): ObjectRef => ({ ...DEPLOYMENT, namespace, name: metadata.name });

  test("a reconcile of a ModelServing that changes nothing sends no request at all", async () => {
    const { decisions, log, ref } = await serving("idle");
    expect(log.lines.filter((line) => line.startsWith("error"))).toEqual([]);
    expect(writes().length).toBeGreaterThan(5);
    const { metadata } = await get(ref);
    const children = await server.request("GET", `/apis/apps/v1/namespaces/${namespace}/deployments`);
    const before = proxy.seen.length;
    const decided = decisions();
    // A label of the user's own: it is told, decided on, and found to change nothing.
    await kubectl("label", "modelserving", "idle", "team=robots");
    await eventually("a decision on it", () => decisions() > decided);
    await settled();
    expect(proxy.seen.slice(before)).toEqual([]);
    const after = await get(ref);
    expect(after.metadata.labels).toEqual({ team: "robots" });
    expect(after.metadata.generation).toBe(metadata.generation);
    expect(
      (await server.request("GET", `/apis/apps/v1/namespaces/${namespace}/deployments`)).body.items,
    ).toEqual(children.body.items);
  });

  test("a field that a person changes is taken back, and an Event names who; one that they add stays", async () => {
    const { deployment, ref } = await serving("owned");
    await kubectl("annotate", "deployment", deployment.metadata.name, "who=somebody");
    const image = "registry.example/other:1";
    const patch = {
      spec: { template: { spec: { containers: [{ name: containerOf(deployment), image }] } } },
    };
    await kubectl(
      "patch",
      "deployment",
      deployment.metadata.name,
      "--type=strategic",
      "-p",
      JSON.stringify(patch),
    );
    const back = await eventually("the image taken back", async () => {
      const now = await get(refOf(deployment));
      return JSON.stringify(now.spec).includes(image) ? undefined : now;
    });
    expect(back.metadata.annotations).toMatchObject({ who: "somebody" });
    const [event, ...others] = await eventually("an Event", async () => {
      const events = await eventsOf("FieldTakenBack");
      return events.length > 0 && events;
    });
    expect(others).toEqual([]);
    expect(event?.message).toContain("kubectl-patch");
    expect(event?.message).toContain(deployment.metadata.name);
    const described = await kubectl("describe", "modelserving", ref.name);
    expect(described.stdout).toContain("FieldTakenBack");
  });

  test("status is written as the operator's, and takes no field of the user's", async () => {
    const { ref } = await serving("status");
    const managers = (await get(ref)).metadata.managedFields ?? [];
    const ofUser = managers.find(({ manager }) => manager === "kubectl");
    expect(JSON.stringify(ofUser?.fieldsV1)).toContain("f:replicas");
    const ofOperator = managers.filter(({ manager }) => manager === "naru-operator");
    expect(ofOperator.map(({ subresource }) => subresource)).toEqual(["status"]);
    expect(Object.keys(ofOperator[0]?.fieldsV1 as object)).toEqual(["f:status"]);
  });

  test("a field that the server does not know is refused by name, not dropped", async () => {
    const { cluster, stop } = await openCluster(proxy.connection, { kinds: [DEPLOYMENT] });
    open.push({ stop });
    const object = { ...DEPLOYMENT, metadata: { name: "a", namespace }, spec: { replica: 1 } };
    await expect(cluster.apply(object)).rejects.toMatchObject({
      code: "Invalid",
      message: expect.stringContaining(".spec.replica"),
    });
  });

  test("what is in the namespace's way has its own code: a namespace that is not there, one that ends", async () => {
    const { cluster, stop } = await openCluster(proxy.connection);
    open.push({ stop });
    const inNamespace = (within: string) => ({ ...CONFIG_MAP, metadata: { name: "a", namespace: within } });
    await expect(cluster.apply(inNamespace("not-there"))).rejects.toMatchObject({ code: "NotFound" });
    await server.request("DELETE", `/api/v1/namespaces/${namespace}`);
    await expect(cluster.apply(inNamespace(namespace))).rejects.toMatchObject({
      code: "NamespaceTerminating",
    });
  });

  test("Events that repeat raise a count, many that are alike become one, and none holds up its teller", async () => {
    const { cluster, stop } = await openCluster(proxy.connection);
    const about = { ...CONFIG_MAP, namespace, name: "a" };
    proxy.fault = ({ method }) => (method === "POST" ? { delay: 300 } : undefined);
    for (let i = 0; i < 5; i++) cluster.event({ about, type: "Normal", reason: "Repeated", message: "m" });
    for (let i = 0; i < 14; i++)
      cluster.event({ about, type: "Warning", reason: "Alike", message: `number ${i}` });
    for (let i = 0; i < 20; i++) cluster.event({ about, type: "Normal", reason: "TooMany", message: "m" });
    proxy.fault = () => undefined;
    await eventually("the last of them", async () => (await eventsOf("TooMany")).length > 0);
    await stop();
    expect(await eventsOf("Repeated")).toMatchObject([{ count: 5, message: "m" }]);
    const alike = await eventsOf("Alike");
    expect(alike).toHaveLength(11);
    expect(alike.find(({ message }) => message.includes("combined"))?.count).toBe(4);
    // 25 in all about one object: the rest are dropped.
    expect(await eventsOf("TooMany")).toMatchObject([{ count: 6 }]);
  });
});

function containerOf(deployment: KubeObject): string {
  const { template } = deployment.spec as { template: { spec: { containers: { name: string }[] } } };
  return template.spec.containers[0]?.name ?? "";
}
