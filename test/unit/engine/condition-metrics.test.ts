import { Registry } from "prom-client";
import { describe, expect, test } from "vitest";
import { MOST_NAMED } from "../../../operator/engine/condition-metrics.ts";
import { findCondition, setCondition } from "../../../operator/engine/conditions.ts";
import { engineMetrics } from "../../../operator/engine/metrics.ts";
import type { Condition } from "../../../operator/engine/objects.ts";
import { memoryCluster, settled, specOf, startWidgets, widget, widgetKind } from "../../support/widgets.ts";

const SINCE = "naru_resource_condition_since_timestamp_seconds";

/** Widgets that say of themselves what their spec says: `Ready: "False"` is a condition. */
const kind = widgetKind({
  conditions: [
    { type: "Ready", wanted: "True", always: true },
    { type: "Degraded", wanted: "False" },
    { type: "Progressing" },
  ],
  decide: (resource, _observed, now) => {
    const { conditions: before = [] } = (resource.status ?? {}) as { conditions?: Condition[] };
    const conditions = Object.entries(specOf<Record<string, Condition["status"]>>(resource)).flatMap(
      ([type, status]) =>
        setCondition(before, { type, status, reason: `Is${status}`, message: "" }, now).filter(
          (condition) => condition.type === type,
        ),
    );
    return { children: [], status: { conditions }, events: [] };
  },
});

async function start(options: { count?: number } = {}) {
  const registry = new Registry();
  const metrics = engineMetrics(registry);
  const cluster = memoryCluster();
  for (let place = 0; place < (options.count ?? 0); place++) {
    await cluster.applyAs("kubectl", widget(`w-${place}`, { Ready: "False" }));
  }
  const engine = await startWidgets({ metrics, kind, cluster });
  const apply = async (name: string, spec: Readonly<Record<string, Condition["status"]>>) => {
    await cluster.applyAs("kubectl", widget(name, spec));
    await engine.advance(1000);
  };
  /** Lines of one metric, by labels. */
  const read = async (metric: string): Promise<Record<string, number>> => {
    const lines = (await registry.metrics()).split("\n").filter((line) => line.startsWith(`${metric}{`));
    return Object.fromEntries(
      lines.map((line) => [
        line.slice(metric.length, line.lastIndexOf(" ")),
        Number(line.slice(line.lastIndexOf(" "))),
      ]),
    );
  };
  const counts = async (condition: string) => {
    const found = await read("naru_resource_conditions");
    const of = (status: string) => found[`{kind="Widget",condition="${condition}",status="${status}"}`];
    return { True: of("True"), False: of("False"), Unknown: of("Unknown") };
  };
  const since = (name: string, type: string): number => {
    const resource = cluster.get({ ...kind.kind, namespace: "default", name });
    const { conditions = [] } = (resource?.status ?? {}) as { conditions?: Condition[] };
    return Date.parse(findCondition(conditions, type)?.lastTransitionTime ?? "") / 1000;
  };
  return { ...engine, cluster, metrics, registry, apply, read, counts, since };
}

const series = (name: string, condition: string, status: string, reason = `Is${status}`) =>
  `{kind="Widget",resource_namespace="default",name="${name}",condition="${condition}",status="${status}",reason="${reason}"}`;

describe("metrics of conditions", () => {
  test("name a resource only while something of it is not as it should be, with since when", async () => {
    const world = await start();
    await world.apply("well", { Ready: "True", Degraded: "False", Progressing: "True" });
    await world.apply("ill", { Ready: "False", Degraded: "True", Progressing: "False" });
    const began = world.since("ill", "Ready");
    expect(await world.read(SINCE)).toEqual({
      [series("ill", "Ready", "False")]: began,
      [series("ill", "Degraded", "True")]: world.since("ill", "Degraded"),
    });
    await world.advance(60_000);
    await world.apply("ill", { Ready: "True", Degraded: "True" });
    expect(Object.keys(await world.read(SINCE))).toEqual([series("ill", "Degraded", "True")]);
    await world.apply("ill", { Ready: "Unknown" });
    expect(await world.read(SINCE)).toEqual({
      [series("ill", "Ready", "Unknown")]: world.since("ill", "Ready"),
    });
    expect(world.since("ill", "Ready")).toBeGreaterThanOrEqual(began + 60);
    await world.controller.stop();
  });

  test("count every resource by status, of conditions that nobody has as well", async () => {
    const world = await start();
    await world.apply("a", { Ready: "True", Progressing: "True" });
    await world.apply("b", { Ready: "True" });
    await world.apply("c", { Ready: "False" });
    expect(await world.counts("Ready")).toEqual({ True: 2, False: 1, Unknown: 0 });
    expect(await world.counts("Progressing")).toEqual({ True: 1, False: 0, Unknown: 0 });
    expect(await world.counts("Degraded")).toEqual({ True: 0, False: 0, Unknown: 0 });
    await world.apply("b", { Ready: "False" });
    expect(await world.counts("Ready")).toEqual({ True: 1, False: 2, Unknown: 0 });
    await world.controller.stop();
  });

  test("say of a resource that nobody acts on that it is unknown since it was made", async () => {
    const world = await start();
    world.cluster.beforeWrite = () => new Promise(() => undefined);
    await world.apply("new", { Ready: "True" });
    const made = world.cluster.get({ ...kind.kind, namespace: "default", name: "new" })?.metadata;
    expect(await world.read(SINCE)).toEqual({
      [series("new", "Ready", "Unknown", "")]: Date.parse(made?.creationTimestamp ?? "") / 1000,
    });
    expect(await world.counts("Ready")).toEqual({ True: 0, False: 0, Unknown: 1 });
  });

  test("forget a resource that is gone, and one made anew begins as new", async () => {
    const world = await start();
    await world.apply("ill", { Ready: "False" });
    await world.cluster.delete({ ...kind.kind, namespace: "default", name: "ill" });
    await settled();
    expect(await world.read(SINCE)).toEqual({});
    expect(await world.counts("Ready")).toEqual({ True: 0, False: 0, Unknown: 0 });
    await world.apply("ill", { Ready: "True" });
    expect(await world.counts("Ready")).toEqual({ True: 1, False: 0, Unknown: 0 });
    await world.controller.stop();
  });

  test("tell nothing of a resource that is being deleted", async () => {
    const world = await start();
    const leaving = widget("leaving", { Ready: "False" });
    await world.cluster.applyAs("kubectl", {
      ...leaving,
      metadata: { ...leaving.metadata, finalizers: ["example.com/a"] },
    });
    await world.advance(1000);
    expect(Object.keys(await world.read(SINCE))).toEqual([series("leaving", "Ready", "False")]);
    await world.cluster.delete({ ...kind.kind, namespace: "default", name: "leaving" });
    await settled();
    expect(world.cluster.get({ ...kind.kind, namespace: "default", name: "leaving" })).toBeDefined();
    expect(await world.read(SINCE)).toEqual({});
    expect(await world.counts("Ready")).toEqual({ True: 0, False: 0, Unknown: 0 });
    await world.controller.stop();
  });

  test("are of the one that works: none before it has begun, none after it has stopped", async () => {
    const world = await start({ count: 3 });
    await world.advance(1000);
    expect(Object.keys(await world.read(SINCE))).toHaveLength(3);
    await world.controller.stop();
    for (const metric of [SINCE, "naru_resource_conditions", "naru_resource_conditions_left_out"]) {
      expect(await world.read(metric), metric).toEqual({});
    }
    const next = await startWidgets({ metrics: world.metrics, kind, cluster: world.cluster });
    expect(Object.keys(await world.read(SINCE))).toHaveLength(3);
    expect(await world.counts("Ready")).toEqual({ True: 0, False: 3, Unknown: 0 });
    await next.controller.stop();
  });

  test("name no more than they may, always the same ones, and say how many are left out", async () => {
    const world = await start({ count: MOST_NAMED + 7 });
    await world.advance(20_000);
    const leftOut = () => world.read("naru_resource_conditions_left_out");
    const named = Object.keys(await world.read(SINCE));
    expect(named).toHaveLength(MOST_NAMED);
    expect(await leftOut()).toEqual({
      '{kind="Widget",condition="Ready"}': 7,
      '{kind="Widget",condition="Degraded"}': 0,
    });
    expect((await world.counts("Ready")).False).toBe(MOST_NAMED + 7);
    await world.apply("a-new-one", { Ready: "False" });
    expect(Object.keys(await world.read(SINCE))).toEqual(named);
    await world.apply("w-0", { Ready: "True" });
    expect(Object.keys(await world.read(SINCE))).toHaveLength(MOST_NAMED);
    expect((await leftOut())['{kind="Widget",condition="Ready"}']).toBe(7);
    await world.controller.stop();
  });
});
