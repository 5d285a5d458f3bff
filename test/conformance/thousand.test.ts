import { setTimeout as delay } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, describe, expect, onTestFailed, test } from "vitest";
import type { KubeObject } from "../../operator/engine/objects.ts";
import { type ApiServer, missingAssets, startApiServer } from "../support/api-server.ts";
import { eventually } from "../support/eventually.ts";
import { installModelServing, modelServing, newNamespace } from "./support/kube.ts";
import { type OperatorProcess, startOperator } from "./support/operator-process.ts";

const missing = await missingAssets();
if (missing !== undefined) console.log(`skipped: a thousand ModelServings: ${missing}`);

const COUNT = 1_000;
const PATIENCE = 300_000;
/** How many others may be acted on between a newcomer's arrival and its turn: those under way, and fair turns. */
const AHEAD = 100;
const CHILDREN = [
  "apis/apps/v1/%/deployments",
  "apis/apps/v1/%/controllerrevisions",
  "apis/policy/v1/%/poddisruptionbudgets",
  "apis/networking.k8s.io/v1/%/networkpolicies",
  "api/v1/%/services",
  "api/v1/%/serviceaccounts",
];

describe.skipIf(missing !== undefined)("a thousand ModelServings on a real API server", () => {
  let server: ApiServer;
  let namespace: string;
  let operator: OperatorProcess | undefined;

  beforeAll(async () => {
    server = await startApiServer();
    await installModelServing(server);
    namespace = await newNamespace(server);
    const names = Array.from({ length: COUNT }, (_, index) => `m-${String(index).padStart(4, "0")}`);
    for (let from = 0; from < COUNT; from += 50) await Promise.all(names.slice(from, from + 50).map(create));
  });
  afterEach(async () => {
    operator?.signal("SIGTERM");
    await operator?.ended;
    operator = undefined;
  });
  afterAll(async () => server?.stop());

  async function start(pod: string): Promise<OperatorProcess> {
    const running = startOperator({ kubeconfig: server.kubeconfig, pod, args: ["--no-leader-elect"] });
    operator = running;
    onTestFailed(() => console.log("the operator logged:", running.log.slice(-20)));
    return running;
  }

  /** Answers the version at which it came. */
  async function create(name: string): Promise<number> {
    const path = `/apis/naru.dev/v1alpha1/namespaces/${namespace}/modelservings`;
    const { status, body } = await server.request("POST", path, modelServing(namespace, name, 1));
    if (status !== 201) throw new Error(`${name}: ${String(body.message)}`);
    return versionOf(body as unknown as KubeObject);
  }

  const pathOf = (kind: string) => `/${kind.replace("%", `namespaces/${namespace}`)}`;
  async function list(kind: string): Promise<KubeObject[]> {
    const { status, body } = await server.request("GET", pathOf(kind));
    if (status !== 200) throw new Error(`${kind}: ${status}`);
    return body.items as KubeObject[];
  }
  /** How many there are, without reading them. */
  async function count(kind: string): Promise<number> {
    const { body } = await server.request("GET", `${pathOf(kind)}?limit=1`);
    const { remainingItemCount = 0 } = body.metadata as { remainingItemCount?: number };
    return (body.items as unknown[]).length + remainingItemCount;
  }

  /** Resolves once so many reconciles have ended and none is due or under way. Asked rarely: to be asked is work too. */
  async function allReconciled(running: OperatorProcess, atLeast: number): Promise<void> {
    for (;;) {
      const { body } = await running.get("metrics", "/metrics");
      const busy = sum(body, "workqueue_depth") + sum(body, "controller_runtime_active_workers");
      if (sum(body, "controller_runtime_reconcile_total") >= atLeast && busy === 0) return;
      await delay(500);
    }
  }
  async function writes(running: OperatorProcess): Promise<number> {
    const { body } = await running.get("metrics", "/metrics");
    expect(body).toContain("naru_engine_writes_total");
    return sum(body, "naru_engine_writes_total");
  }

  /** The version at which a newcomer had its Deployment, and how many others of a kind came while it waited, and after. */
  async function turnOf(name: string, since: number, others: string) {
    const deployment = `${pathOf("apis/apps/v1/%/deployments")}/${name}`;
    const own = await eventually(
      `${name}'s Deployment`,
      async () => {
        const { status, body } = await server.request("GET", deployment);
        return status === 200 && versionOf(body as unknown as KubeObject);
      },
      PATIENCE,
    );
    return {
      own,
      ahead: async () => (await list(others)).map(versionOf).filter((one) => one > since && one < own).length,
      behind: async () => (await list(others)).map(versionOf).filter((one) => one > own).length,
    };
  }

  test(
    "all converge; one that comes in the middle of it has its turn before those that were there",
    async () => {
      const running = await start("first");
      await eventually(
        "the first Deployments",
        async () => (await count("apis/apps/v1/%/deployments")) > 20,
        PATIENCE,
      );
      const turn = await turnOf("newcomer", await create("newcomer"), "apis/apps/v1/%/deployments");
      await allReconciled(running, COUNT + 1);
      expect(await turn.ahead()).toBeLessThan(AHEAD);
      // Else there was nobody for it to overtake.
      expect(await turn.behind()).toBeGreaterThan(COUNT / 2);
      for (const kind of CHILDREN) expect(await count(kind), kind).toBe(COUNT + 1);
      const resources = await list("apis/naru.dev/v1alpha1/%/modelservings");
      const answered = resources.filter(
        ({ metadata, status }) =>
          (status as { observedGeneration?: number } | undefined)?.observedGeneration === metadata.generation,
      );
      expect(answered).toHaveLength(COUNT + 1);
      expect(running.log.filter(({ level }) => level === "error")).toEqual([]);
    },
    PATIENCE,
  );

  test(
    "an operator that starts anew looks at all of them and writes nothing",
    async () => {
      const versions = async () =>
        Object.fromEntries(
          (await Promise.all([...CHILDREN, "apis/naru.dev/v1alpha1/%/modelservings"].map(list)))
            .flat()
            .map((object) => [object.metadata.uid, object.metadata.resourceVersion]),
        );
      const before = await versions();
      const running = await start("second");
      await running.logged("every kind is listed", PATIENCE);
      await allReconciled(running, COUNT + 1);
      expect(await writes(running)).toBe(0);
      expect(await versions()).toEqual(before);
    },
    PATIENCE,
  );

  test(
    "while it looks at all of them anew and has something to write for each, a newcomer has its turn first",
    async () => {
      const budgets = "apis/policy/v1/%/poddisruptionbudgets";
      await server.request("DELETE", pathOf(budgets));
      expect(await count(budgets)).toBe(0);
      const running = await start("third");
      await eventually("the first of them", async () => (await count(budgets)) > 0, PATIENCE);
      const turn = await turnOf("latecomer", await create("latecomer"), budgets);
      await allReconciled(running, COUNT + 2);
      expect(await count(budgets)).toBe(COUNT + 2);
      expect(await turn.ahead()).toBeLessThan(AHEAD);
      expect(await turn.behind()).toBeGreaterThan(COUNT / 4);
    },
    PATIENCE,
  );
});

/** A metric's value, of all its labels together. */
function sum(text: string, metric: string): number {
  const values = [...text.matchAll(new RegExp(`^${metric}\\{.*\\} (\\d+)$`, "gm"))];
  return values.reduce((all, [, value]) => all + Number(value), 0);
}

/** Of its last write: etcd counts all of them together, so that they tell who came before whom. */
function versionOf({ metadata }: KubeObject): number {
  return Number(metadata.resourceVersion);
}
