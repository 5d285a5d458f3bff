import { Registry } from "prom-client";
import { expect, test } from "vitest";
import { ClusterError } from "../../../operator/engine/cluster.ts";
import { engineMetrics } from "../../../operator/engine/metrics.ts";
import { settled, startWidgets, widget } from "../../support/widgets.ts";

async function valuesOf(registry: Registry): Promise<Map<string, number>> {
  const lines = (await registry.metrics()).split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return new Map(
    lines.map((line) => [line.slice(0, line.lastIndexOf(" ")), Number(line.slice(line.lastIndexOf(" ")))]),
  );
}

test("what happened is counted under controller-runtime's names", async () => {
  const registry = new Registry();
  const engine = await startWidgets({ metrics: engineMetrics(registry) });
  const { cluster } = engine;
  let refusals = 1;
  cluster.beforeWrite = (verb) => {
    if (verb === "apply" && refusals-- > 0) throw new ClusterError("Unavailable", "no answer");
  };
  await cluster.applyAs("kubectl", widget("w"));
  await engine.advance(1000);
  const values = await valuesOf(registry);
  const labels = '{controller="widget"}';
  const queue = '{name="widget",controller="widget"}';
  expect(values.get(`controller_runtime_reconcile_errors_total${labels}`)).toBe(1);
  expect(values.get('controller_runtime_reconcile_total{controller="widget",result="error"}')).toBe(1);
  expect(
    values.get('controller_runtime_reconcile_total{controller="widget",result="success"}'),
  ).toBeGreaterThan(0);
  expect(values.get('controller_runtime_reconcile_total{controller="widget",result="requeue_after"}')).toBe(
    0,
  );
  expect(values.get(`controller_runtime_max_concurrent_reconciles${labels}`)).toBe(8);
  expect(values.get(`controller_runtime_active_workers${labels}`)).toBe(0);
  expect(values.get('naru_engine_writes_total{controller="widget",verb="apply"}')).toBe(2);
  expect(values.get('naru_engine_writes_total{controller="widget",verb="updateStatus"}')).toBe(1);
  expect(values.get(`workqueue_retries_total${queue}`)).toBeGreaterThan(0);
  expect(values.get('workqueue_depth{name="widget",controller="widget",priority="2"}')).toBe(0);
  const reconciles = values.get(`controller_runtime_reconcile_time_seconds_count${labels}`);
  expect(values.get(`workqueue_work_duration_seconds_count${queue}`)).toBe(reconciles);
  expect(values.get(`workqueue_queue_duration_seconds_count${queue}`)).toBe(reconciles);
  await engine.controller.stop();
});

test("a reconcile that is stuck shows while it is", async () => {
  const registry = new Registry();
  const engine = await startWidgets({ metrics: engineMetrics(registry) });
  const { cluster, clock } = engine;
  let letGo: () => void = () => undefined;
  cluster.beforeWrite = () =>
    new Promise((resolve) => {
      letGo = resolve;
    });
  await cluster.applyAs("kubectl", widget("w", { children: [] }));
  await settled();
  clock.advance(5000);
  const queue = '{name="widget",controller="widget"}';
  const stuck = await valuesOf(registry);
  expect(stuck.get(`workqueue_unfinished_work_seconds${queue}`)).toBe(5);
  expect(stuck.get(`workqueue_longest_running_processor_seconds${queue}`)).toBe(5);
  expect(stuck.get('controller_runtime_active_workers{controller="widget"}')).toBe(1);
  letGo();
  await engine.controller.stop();
  const ended = await valuesOf(registry);
  expect(ended.get(`workqueue_unfinished_work_seconds${queue}`)).toBe(0);
  expect(ended.get('controller_runtime_active_workers{controller="widget"}')).toBe(0);
});
