import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { findProgram } from "../../../scripts/helm.ts";
import { type ApiServer, missingAssets, startApiServer } from "../../support/api-server.ts";
import { definitionsServed } from "../../support/definitions.ts";
import { eventually } from "../../support/eventually.ts";
import { kubectl } from "../../support/kubectl.ts";
import { ALERTS_FILE, alerts, isDescribed, metricsIn, panelQueries, variableMetrics } from "./expressions.ts";
import { Operator, Serving } from "./programs.ts";
import { type Prometheus, startPrometheus } from "./prometheus.ts";

const ROOT = join(import.meta.dirname, "../../..");
const RESOURCE = "/apis/naru.dev/v1alpha1/namespaces/default/modelservings/digits";
const LIMIT = 240_000;

const MODEL = { uri: "s3://models/a.onnx", sha256: "a".repeat(64) };
/** No request reaches `b`: the API server takes it, the operator does not. */
const UNSOUND = {
  apiVersion: "naru.dev/v1alpha1",
  kind: "ModelServing",
  metadata: { name: "unsound", namespace: "team-a" },
  spec: {
    graph: {
      entry: "a",
      nodes: [
        { name: "a", model: MODEL },
        { name: "b", model: MODEL },
      ],
    },
  },
};

const program = findProgram("prometheus");
const missing =
  (await missingAssets()) ?? (program === undefined ? "there is no prometheus on PATH" : undefined);
if (missing !== undefined) console.log(`skipped: dashboards and alerts on a real Prometheus: ${missing}`);

describe.skipIf(missing !== undefined)(
  "dashboards and alerts, on a Prometheus that scrapes the programs",
  () => {
    let folders: string[] = [];
    let server: ApiServer;
    let operator: Operator;
    let serving: Serving;
    let prometheus: Prometheus;
    let ending = false;
    let stirring: Promise<void>;

    beforeAll(async () => {
      const folder = async (name: string) => mkdtemp(join(tmpdir(), `naru-observability-${name}-`));
      const [up, data] = await Promise.all([folder("up"), folder("prometheus")]);
      folders = [up, data];
      server = await startApiServer();
      await kubectl(server, ["apply", "--server-side", "-f", join(ROOT, "deploy/crds.yaml")]);
      await kubectl(server, ["create", "namespace", "naru-system"]);
      await definitionsServed(server);
      await kubectl(server, ["apply", "-f", join(ROOT, "crds/examples/modelserving.yaml")]);
      operator = await Operator.start(server);
      serving = await Serving.start(up);
      prometheus = await startPrometheus(program ?? "", data, ALERTS_FILE);
      stirring = stir();
    }, LIMIT);

    afterAll(async () => {
      ending = true;
      await stirring;
      await prometheus?.stop();
      await serving?.stop();
      await operator?.stop();
      await server?.stop();
      for (const folder of folders) await rm(folder, { recursive: true, force: true });
    }, LIMIT);

    /** Something to reconcile and to scrape, second by second: an operator at rest shows no latencies. */
    async function stir(): Promise<void> {
      for (let turn = 0; !ending; turn += 1) {
        await prometheus.scrape([operator.target, ...(await serving.targets())]);
        const patch = {
          metadata: { annotations: { "example.com/turn": String(turn) } },
          spec: { replicas: 1 + (turn % 2) },
        };
        await server.request("PATCH", RESOURCE, patch, "application/merge-patch+json");
        await new Promise((resolve) => setTimeout(resolve, 500));
      }
    }

    test.each(panelQueries())(
      "a panel has something to show: $title",
      async ({ expr }) => {
        const seen = await eventually(
          expr,
          async () => {
            const samples = await prometheus.query(expr);
            return samples.some(({ value }) => Number.isFinite(value)) && samples;
          },
          LIMIT,
        );
        expect(seen.length).toBeGreaterThan(0);
      },
      LIMIT,
    );

    test("every metric that a panel, a variable or an alert reads is one that the programs have", async () => {
      const described = await prometheus.metricNames();
      const read = [...panelQueries(), ...alerts()].flatMap(({ expr }) => metricsIn(expr));
      const unknown = [...read, ...variableMetrics()].filter((metric) => !isDescribed(metric, described));
      expect(unknown).toEqual([]);
      expect(isDescribed("naru_router_request_total", described)).toBe(false);
    });

    test("every alert is evaluated, and none of them fires while all is well", async () => {
      const rules = await eventually(
        "every rule is evaluated",
        async () => {
          const found = await prometheus.rules();
          return found.every(({ health }) => health !== "unknown") && found;
        },
        LIMIT,
      );
      expect(rules.map(({ name }) => name)).toEqual(alerts().map(({ alert }) => alert));
      expect(rules.filter(({ health }) => health !== "ok")).toEqual([]);
      for (const { alert, expr } of alerts()) expect(await prometheus.query(expr), alert).toEqual([]);
      expect(serving.lost).toBe(0);
    });

    test(
      "a resource that is not well is told of by its own name and namespace, and no more once it is gone",
      async () => {
        await kubectl(server, ["create", "namespace", "team-a"]);
        await kubectl(server, ["apply", "-f", "-"], JSON.stringify(UNSOUND));
        const told = async (alert: string) => {
          const { expr = "" } = alerts().find((one) => one.alert === alert) ?? {};
          expect(expr).toMatch(/> 300$/m);
          // At once, in place of after its time.
          return prometheus.query(expr.replace(/> 300$/m, ">= 0"));
        };
        const both = ["NaruModelServingNotReady", "NaruModelServingDegraded"];
        for (const alert of both) {
          const found = await eventually(alert, async () => (await told(alert)).at(0), LIMIT);
          expect(found.metric).toEqual({
            namespace: "team-a",
            resource_namespace: "team-a",
            name: "unsound",
          });
          expect(found.value).toBeLessThan(LIMIT / 1000);
        }
        await kubectl(server, ["delete", "modelserving", "unsound", "-n", "team-a"]);
        for (const alert of both) {
          await eventually(`${alert} ends`, async () => (await told(alert)).length === 0, LIMIT);
        }
      },
      LIMIT,
    );
  },
);

test("every alert leads to a page that says what to do", () => {
  expect(alerts().length).toBeGreaterThan(5);
  for (const { alert, annotations } of alerts()) {
    expect(annotations.runbook_url, alert).toBe(`RUNBOOKS/${alert}.md`);
    expect(existsSync(join(ROOT, "docs/runbooks", `${alert}.md`)), alert).toBe(true);
  }
});

test("the metrics of an expression are found", () => {
  const expression =
    'histogram_quantile(0.9, sum by (namespace, le) (rate(a_bucket{code=~"5..|b"}[10m]))) / sum(c) > 0.1 or vector(0)';
  expect(metricsIn(expression)).toEqual(["a_bucket", "c"]);
});
