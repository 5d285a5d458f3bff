import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { LeaseSpec } from "kubernetes-types/coordination/v1.js";
import { afterAll, afterEach, beforeAll, describe, expect, onTestFailed, test } from "vitest";
import type { Condition, KubeObject } from "../../operator/engine/objects.ts";
import { type ApiServer, missingAssets, startApiServer } from "../support/api-server.ts";
import { eventually } from "../support/eventually.ts";
import { applyAs, installModelServing, modelServing, newNamespace } from "./support/kube.ts";
import { IMAGE, LEASE_MS, type OperatorProcess, startOperator } from "./support/operator-process.ts";
import { type RecordingProxy, startRecordingProxy } from "./support/recording-proxy.ts";

const missing = await missingAssets();
if (missing !== undefined) console.log(`skipped: the operator on a real API server: ${missing}`);

/** A whole operator starts, lists and takes a lease in each of them. */
const PATIENCE = 120_000;
const LEASE = "/apis/coordination.k8s.io/v1/namespaces/default/leases/naru-operator";

interface Replica extends OperatorProcess {
  readonly proxy: RecordingProxy;
  readonly pod: string;
}

describe.skipIf(missing !== undefined)("the operator's processes on a real API server", () => {
  let server: ApiServer;
  let folder: string;
  let replicas: Replica[] = [];

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "naru-operator-"));
    server = await startApiServer();
    await installModelServing(server);
  });
  afterEach(async () => {
    for (const { proxy } of replicas) proxy.release();
    for (const replica of replicas) replica.signal("SIGKILL");
    await Promise.all(replicas.map(({ ended }) => ended));
    await Promise.all(replicas.map(({ proxy }) => proxy.close()));
    replicas = [];
    await server.request("DELETE", LEASE);
  });
  afterAll(async () => {
    await server?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  async function start(pod: string, args: readonly string[] = []): Promise<Replica> {
    const proxy = await startRecordingProxy(server, join(folder, pod));
    const replica = { ...startOperator({ kubeconfig: proxy.kubeconfig, pod, args }), proxy, pod };
    replicas.push(replica);
    onTestFailed(() => console.log(`${pod} logged:`, replica.log.slice(-20)));
    return replica;
  }

  /** One that leads, and one that is ready to. */
  async function startTwo(): Promise<[Replica, Replica]> {
    const first = await start("first");
    await leader("first");
    const second = await start("second");
    await second.logged("every kind is listed");
    return [first, second];
  }

  async function lease(): Promise<LeaseSpec> {
    const { body } = await server.request("GET", LEASE);
    return (body as { spec?: LeaseSpec }).spec ?? {};
  }

  async function leader(pod: string, milliseconds = 60_000): Promise<LeaseSpec> {
    return eventually(
      `${pod} leads`,
      async () => {
        const spec = await lease();
        return spec.holderIdentity?.startsWith(`${pod}_`) ? spec : undefined;
      },
      milliseconds,
    );
  }

  async function conditionsOf(namespace: string, name: string): Promise<Condition[]> {
    const path = `/apis/naru.dev/v1alpha1/namespaces/${namespace}/modelservings/${name}`;
    const { body } = await server.request("GET", path);
    return (body as { status?: { conditions?: Condition[] } }).status?.conditions ?? [];
  }

  async function list(path: string): Promise<KubeObject[]> {
    const { body } = await server.request("GET", path);
    return (body as { items?: KubeObject[] }).items ?? [];
  }

  /** Resolves when a resource has been acted on: what its children are and what its status says. */
  async function actedOn(namespace: string, name: string): Promise<Condition[]> {
    return eventually(
      `${name} has a Deployment and conditions`,
      async () => {
        const deployments = await list(`/apis/apps/v1/namespaces/${namespace}/deployments`);
        const has = deployments.some(({ metadata }) => metadata.ownerReferences?.[0]?.name === name);
        const conditions = await conditionsOf(namespace, name);
        return has && conditions.length > 0 && conditions;
      },
      60_000,
    );
  }

  test(
    "give a ModelServing its children and say why it is not ready where no pod runs",
    async () => {
      const namespace = await newNamespace(server);
      await applyAs(server, "kubectl", modelServing(namespace, "digits", 2));
      const operator = await start("only");
      const conditions = await actedOn(namespace, "digits");
      const ready = conditions.find(({ type }) => type === "Ready");
      expect(ready).toMatchObject({ status: "False", observedGeneration: 1 });
      expect(ready?.reason).not.toBe("");
      const [deployment] = await list(`/apis/apps/v1/namespaces/${namespace}/deployments`);
      expect(JSON.stringify(deployment?.spec)).toContain(IMAGE);
      for (const path of [
        "api/v1/%/services",
        "api/v1/%/configmaps",
        "apis/policy/v1/%/poddisruptionbudgets",
      ]) {
        await eventually(`${path} of digits`, async () => {
          const [first] = await list(`/${path.replace("%", `namespaces/${namespace}`)}`);
          return first?.metadata.ownerReferences?.[0]?.name === "digits";
        });
      }

      expect((await operator.get("health", "/healthz")).body).toBe(
        "[+]reconciles ok\n[+]watches ok\n[+]leader-election ok\n",
      );
      expect((await operator.get("health", "/readyz")).status).toBe(200);
      expect(await operator.metric("leader_election_master_status", '{name="naru-operator"}')).toBe(1);
      expect(
        await operator.metric(
          "controller_runtime_reconcile_total",
          '{controller="modelserving",result="success"}',
        ),
      ).toBeGreaterThan(0);
      expect(await operator.metric("workqueue_adds_total")).toBeGreaterThan(0);
      expect(await operator.metric("rest_client_requests_total", '{code="200",method="GET"')).toBeGreaterThan(
        0,
      );
    },
    PATIENCE,
  );

  test(
    "let another lead within the lease's duration once the leader was killed",
    async () => {
      const [first, second] = await startTwo();
      expect((await second.get("health", "/readyz")).status).toBe(200);
      expect(await second.metric("leader_election_master_status", '{name="naru-operator"}')).toBe(0);
      first.signal("SIGKILL");
      await first.ended;
      const from = performance.now();
      expect((await leader("second")).leaseTransitions).toBe(1);
      expect(performance.now() - from).toBeLessThan(LEASE_MS * 1.5);
      const namespace = await newNamespace(server);
      await applyAs(server, "kubectl", modelServing(namespace, "after", 1));
      await actedOn(namespace, "after");
      expect(second.proxy.writes.length).toBeGreaterThan(0);
    },
    PATIENCE,
  );

  test(
    "tell of conditions while they lead, and not while another does",
    async () => {
      const [first, second] = await startTwo();
      const namespace = await newNamespace(server);
      await applyAs(server, "kubectl", modelServing(namespace, "digits", 1));
      await actedOn(namespace, "digits");
      const told = ({ metric }: Replica) =>
        metric(
          "naru_resource_condition_since_timestamp_seconds",
          `{kind="ModelServing",resource_namespace="${namespace}",name="digits",condition="Ready",status="False"`,
        );
      const counted = ({ metric }: Replica) => metric("naru_resource_conditions", "{");
      const ready = (await conditionsOf(namespace, "digits")).find(({ type }) => type === "Ready");
      const since = Date.parse(ready?.lastTransitionTime ?? "") / 1000;
      await eventually("the leader tells", async () => (await told(first)) === since);
      expect(await counted(second)).toBeUndefined();
      expect(await told(second)).toBeUndefined();

      first.signal("SIGSTOP");
      await leader("second");
      await eventually("the next leader tells", async () => (await told(second)) === since);
      first.signal("SIGCONT");
      await first.logged("leads no more");
      await eventually("the former leader is silent", async () => (await counted(first)) === undefined);
      expect(await told(second)).toBe(since);
      await server.request("DELETE", `/apis/naru.dev/v1alpha1/namespaces/${namespace}/modelservings/digits`);
      await eventually("nothing is told of what is gone", async () => (await told(second)) === undefined);
    },
    PATIENCE,
  );

  test(
    "hand over at once on SIGTERM, after the reconcile that was under way is finished",
    async () => {
      const [first] = await startTwo();
      const namespace = await newNamespace(server);
      first.proxy.hold(({ method, path }) => method === "PATCH" && path.includes("/serviceaccounts/"));
      await applyAs(server, "kubectl", modelServing(namespace, "digits", 1));
      await eventually("a write is under way", () => first.proxy.held > 0, 60_000);
      const begun = first.proxy.writes.length;
      first.signal("SIGTERM");
      await first.logged("drains");
      // A renewal later it is still the leader: what is under way may still write.
      const { renewTime } = await lease();
      await eventually("the lease is renewed", async () => (await lease()).renewTime !== renewTime);
      expect((await lease()).holderIdentity).toMatch(/^first_/);
      first.proxy.release();
      const from = performance.now();
      expect(await first.ended).toBe(0);
      await leader("second");
      expect(performance.now() - from).toBeLessThan(LEASE_MS * 0.75);
      // The children that come after the ServiceAccount were applied before the lease was given back.
      expect(first.proxy.writes.slice(begun).some(({ path }) => path.includes("/deployments/"))).toBe(true);
      expect(first.proxy.requests.filter(({ method }) => method !== "GET").at(-1)?.path).toContain(
        "/leases/",
      );
    },
    PATIENCE,
  );

  test(
    "start no write after they were frozen past their lease, though they were in the middle of writing",
    async () => {
      const [first, second] = await startTwo();
      const namespace = await newNamespace(server);
      const names = Array.from({ length: 40 }, (_, index) => `digits-${index}`);
      await Promise.all(names.map((name) => applyAs(server, "kubectl", modelServing(namespace, name, 1))));
      await eventually("the leader is writing", () => first.proxy.writes.length > 40, 60_000);
      first.signal("SIGSTOP");
      await leader("second");
      for (const name of names) await actedOn(namespace, name);
      expect(second.proxy.writes.length).toBeGreaterThan(0);

      // What it had sent when it was frozen has arrived long ago.
      const seen = first.proxy.requests.length;
      const before = first.proxy.writes.length;
      first.signal("SIGCONT");
      await first.logged("leads no more");
      // It has come round to asking for the lease again: everything that it woke up with is done.
      await eventually("it is a candidate again", () => {
        const since = first.proxy.requests.slice(seen);
        return since.filter(({ method, path }) => method === "GET" && path.includes("/leases/")).length >= 3;
      });
      expect(first.proxy.writes.slice(before)).toEqual([]);
      expect((await lease()).holderIdentity).toMatch(/^second_/);

      second.signal("SIGTERM");
      await leader("first");
      await applyAs(server, "kubectl", modelServing(namespace, "afterwards", 1));
      await actedOn(namespace, "afterwards");
      expect(first.proxy.writes.slice(before).length).toBeGreaterThan(0);
    },
    PATIENCE * 2,
  );

  test(
    "end at once on a second SIGTERM, and on a command line that makes no sense",
    async () => {
      const operator = await start("only");
      const namespace = await newNamespace(server);
      await leader("only");
      operator.proxy.hold(({ method, path }) => method === "PATCH" && path.includes("/serviceaccounts/"));
      await applyAs(server, "kubectl", modelServing(namespace, "digits", 1));
      await eventually("a write is under way", () => operator.proxy.held > 0, 60_000);
      operator.signal("SIGTERM");
      await operator.logged("drains");
      operator.signal("SIGTERM");
      expect(await operator.ended).toBe(143);
      expect(await (await start("other", ["--concurrency=none"])).ended).toBe(2);
    },
    PATIENCE,
  );

  test(
    "look only at the namespaces that they are told to",
    async () => {
      const [watched, other] = [await newNamespace(server), await newNamespace(server)];
      for (const namespace of [other, watched]) {
        await applyAs(server, "kubectl", modelServing(namespace, "digits", 1));
      }
      const operator = await start("only", [`--watch-namespaces=${watched}`]);
      await actedOn(watched, "digits");
      expect(await conditionsOf(other, "digits")).toEqual([]);
      const asked = operator.proxy.requests.filter(({ path }) => /modelservings|deployments|pods/.test(path));
      expect(asked.length).toBeGreaterThan(0);
      for (const { path } of asked) expect(path).toContain(`/namespaces/${watched}/`);
    },
    PATIENCE,
  );
});
