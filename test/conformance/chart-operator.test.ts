import { readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import type { KubeObject } from "../../operator/engine/objects.ts";
import { type ApiServer, missingAssets, startApiServer } from "../support/api-server.ts";
import { missingHelm, rendered } from "../support/chart.ts";
import { definitionsServed } from "../support/definitions.ts";
import { eventually } from "../support/eventually.ts";
import { kubectl } from "../support/kubectl.ts";
import { modelServingCases, resourceOf } from "../support/model-serving-cases.ts";
import { type OperatorProcess, startOperator } from "./support/operator-process.ts";

const SYSTEM = "naru-system";
const TEAM = "team-a";
const OTHER_TEAM = "team-b";
const LIMIT = 50_000;

const missing = (await missingAssets()) ?? missingHelm();
if (missing !== undefined) console.log(`skipped: the operator with the chart's rights: ${missing}`);

describe.skipIf(missing !== undefined)(
  "the operator, with the arguments and the rights that the chart gives it",
  () => {
    let server: ApiServer;
    let operator: OperatorProcess | undefined;

    beforeAll(async () => {
      server = await startApiServer();
      for (const name of [SYSTEM, TEAM, OTHER_TEAM]) await kubectl(server, ["create", "namespace", name]);
    });
    afterEach(async () => {
      operator?.signal("SIGTERM");
      await operator?.ended;
      operator = undefined;
    });
    afterAll(async () => server?.stop());

    test("acts on every accepted shape of a spec, and is refused nothing", async () => {
      operator = await installed();
      const accepted = modelServingCases.filter(({ refused }) => refused === undefined);
      const resources = accepted.map(
        (one, index) => resourceOf(one, `case-${index}`) as unknown as KubeObject,
      );
      await apply(resources, TEAM);
      await eventually("every resource has a status", () => haveStatus(TEAM, resources.length), LIMIT);

      const children = await kubectl(server, ["-n", TEAM, "get", KINDS, "-l", OURS, "-o", "name"]);
      expect(new Set(children.stdout.match(/^[a-z]+/gm)).size).toBe(KINDS.split(",").length);
      const own = await kubectl(server, [
        "-n",
        SYSTEM,
        "get",
        "lease/naru-operator",
        "secret/naru-router-signing-key",
        "-o",
        "name",
      ]);
      expect(own.stdout.trim().split("\n")).toHaveLength(2);
      await kubectl(server, ["-n", TEAM, "delete", "modelservings", "--all"]);
      expect(await refusals(operator)).toEqual([]);
    });

    test("acts in the namespaces that it is to watch, with rights in no others, and is refused nothing", async () => {
      operator = await installed("--set", `operator.watchNamespaces={${TEAM}}`);
      const [resource] = modelServingCases
        .filter(({ name }) => name === "everything of the common case")
        .map((one) => resourceOf(one, "watched") as unknown as KubeObject);
      if (resource === undefined) throw new Error("no case");
      await apply([resource], OTHER_TEAM);
      await apply([resource], TEAM);
      await eventually("the resource has a status", () => haveStatus(TEAM, 1), LIMIT);
      expect(await haveStatus(OTHER_TEAM, 1)).toBe(false);
      expect(await refusals(operator)).toEqual([]);
    });

    test("would be seen to be refused: a right less, and the answer is counted", async () => {
      operator = await installed();
      await kubectl(server, ["delete", "clusterrolebinding", "naru-operator"]);
      const [resource] = modelServingCases.map((one) => resourceOf(one, "refused") as unknown as KubeObject);
      await apply(resource === undefined ? [] : [resource], TEAM);
      const running = operator;
      await eventually("a refusal is counted", async () => (await refusals(running)).length > 0, LIMIT);
    });

    /** The chart with these values, and the operator's program as its Deployment starts it, as its account. */
    async function installed(...values: string[]): Promise<OperatorProcess> {
      // Rights that an installation before this one left would make up for those that this one lacks.
      const ours = ["-l", "app.kubernetes.io/part-of=naru", "--ignore-not-found"];
      await kubectl(server, ["delete", "clusterroles,clusterrolebindings", ...ours]);
      await kubectl(server, ["delete", "roles,rolebindings", "--all-namespaces", ...ours]);
      const objects = await rendered("--no-hooks", ...values);
      await apply(objects);
      await definitionsServed(server);
      const { stdout: token } = await kubectl(server, ["-n", SYSTEM, "create", "token", "naru-operator"]);
      const kubeconfig = JSON.parse(await readFile(server.kubeconfig, "utf8"));
      kubeconfig.users = [{ name: "admin", user: { token: token.trim() } }];
      const file = join(dirname(server.kubeconfig), "operator-kubeconfig");
      await writeFile(file, JSON.stringify(kubeconfig), { mode: 0o600 });
      const addresses = ["--health-address=127.0.0.1:0", "--metrics-address=127.0.0.1:0"];
      const args = [...argsOf(objects), `--namespace=${SYSTEM}`, ...addresses];
      const started = startOperator({ kubeconfig: file, pod: "naru-operator-0", args });
      await started.logged("leads", LIMIT);
      return started;
    }

    async function apply(items: readonly KubeObject[], namespace?: string): Promise<void> {
      const list = { apiVersion: "v1", kind: "List", items };
      const into = namespace === undefined ? [] : ["--namespace", namespace];
      await kubectl(server, ["apply", "--server-side", ...into, "-f", "-"], JSON.stringify(list));
    }

    async function haveStatus(namespace: string, count: number): Promise<boolean> {
      const { stdout } = await kubectl(server, ["-n", namespace, "get", "modelservings", "-o", "json"]);
      const items = (JSON.parse(stdout) as { items: KubeObject[] }).items;
      return items.length === count && items.every(({ status }) => status !== undefined);
    }
  },
);

const KINDS =
  "deployments,services,serviceaccounts,configmaps,controllerrevisions,poddisruptionbudgets,horizontalpodautoscalers,networkpolicies";
const OURS = "app.kubernetes.io/managed-by=naru-operator";

/** Answers of the API server that say that something is not allowed. */
async function refusals(operator: OperatorProcess): Promise<string[]> {
  const { body } = await operator.get("metrics", "/metrics");
  expect(body).toMatch(/^rest_client_requests_total\{code="20\d"/m);
  return body.match(/^rest_client_requests_total\{code="40[13]".*$/gm) ?? [];
}

function argsOf(objects: readonly KubeObject[]): string[] {
  const deployment = objects.find(({ kind }) => kind === "Deployment") as unknown as {
    spec: { template: { spec: { containers: { args: string[] }[] } } };
  };
  return deployment.spec.template.spec.containers[0]?.args ?? [];
}
