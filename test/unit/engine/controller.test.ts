import { describe, expect, test } from "vitest";
import { ClusterError } from "../../../operator/engine/cluster.ts";
import type { ObjectKind } from "../../../operator/engine/objects.ts";
import { FakeClock } from "../../support/fake-clock.ts";
import {
  CONFIG_MAP,
  configMapOf,
  configMapRef,
  decideWidget,
  memoryCluster,
  settled,
  startWidgets,
  widget,
  widgetKind,
  widgetRef,
  writesOf,
} from "../../support/widgets.ts";

describe("the loop", () => {
  test("a newcomer is reconciled ahead of what was there at the start", async () => {
    const cluster = memoryCluster();
    for (let i = 0; i < 100; i++) await cluster.applyAs("kubectl", widget(`old-${i}`, { children: [] }));
    await settled();
    const order: string[] = [];
    let newcomer: Promise<unknown> | undefined;
    const kind = widgetKind({
      observe: async (resource) => {
        order.push(resource.metadata.name);
        newcomer ??= cluster.applyAs("kubectl", widget("new", { children: [] }));
        await new Promise((resolve) => setImmediate(resolve));
        await new Promise((resolve) => setImmediate(resolve));
      },
    });
    const engine = await startWidgets({ cluster, kind, concurrency: 1 });
    await newcomer;
    await settled();
    expect(order.indexOf("new")).toBeGreaterThan(0);
    expect(order.indexOf("new")).toBeLessThan(5);
    await engine.controller.stop();
  });

  test("who came while nobody worked is reconciled ahead of what only has to be looked at again", async () => {
    const cluster = memoryCluster();
    const names = Array.from({ length: 20 }, (_, i) => `old-${i}`);
    for (const name of names) await cluster.applyAs("kubectl", widget(name, { children: [] }));
    const before = await startWidgets({ cluster });
    await settled();
    await before.controller.stop();
    await cluster.applyAs("kubectl", widget("old-17", { children: [], value: "2" }));
    await cluster.applyAs("kubectl", widget("zz-new", { children: [] }));
    await settled();
    const order: string[] = [];
    const kind = widgetKind({
      observe: async (resource) => void order.push(resource.metadata.name),
    });
    const engine = await startWidgets({ cluster, kind, concurrency: 1 });
    await settled();
    expect(order.slice(0, 2)).toEqual(["old-17", "zz-new"]);
    expect(new Set(order)).toEqual(new Set([...names, "zz-new"]));
    await engine.controller.stop();
  });

  test("a long row of reconciles that wait for nothing does not keep the process from its other work", async () => {
    const cluster = memoryCluster();
    for (let i = 0; i < 200; i++) await cluster.applyAs("kubectl", widget(`w${i}`, { children: [] }));
    await settled();
    let decided = 0;
    let decidedBeforeOtherWork: number | undefined;
    const kind = widgetKind({
      decide: (resource) => {
        if (decided === 0) setImmediate(() => (decidedBeforeOtherWork = decided));
        decided++;
        return { children: [], status: resource.status, events: [] };
      },
    });
    const engine = await startWidgets({ cluster, kind });
    await engine.advance(100);
    expect(decided).toBe(200);
    expect(decidedBeforeOtherWork).toBeLessThan(50);
    await engine.controller.stop();
  });

  test("no resource is reconciled twice at once, and different ones are", async () => {
    const cluster = memoryCluster();
    const running = new Map<string, number>();
    let most = 0;
    let twice = false;
    const kind = widgetKind({
      observe: async ({ metadata: { name } }) => {
        running.set(name, (running.get(name) ?? 0) + 1);
        twice ||= running.get(name) !== 1;
        most = Math.max(most, [...running.values()].filter((count) => count > 0).length);
        for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve));
        running.set(name, 0);
      },
    });
    const engine = await startWidgets({ cluster, kind, concurrency: 4 });
    for (let round = 0; round < 5; round++) {
      for (let i = 0; i < 6; i++) await cluster.applyAs("kubectl", widget(`w${i}`, { children: [], round }));
      await settled();
    }
    expect(twice).toBe(false);
    expect(most).toBe(4);
    await engine.controller.stop();
  });

  test("a change of a read object queues the resource that it concerns, and the one that it concerned before", async () => {
    const cluster = memoryCluster();
    const decided: string[] = [];
    const kind = widgetKind({
      decide: (resource) => {
        decided.push(resource.metadata.name);
        return decideWidget(resource);
      },
    });
    await cluster.applyAs("kubectl", widget("w1", { children: [] }));
    await cluster.applyAs("kubectl", widget("w2", { children: [] }));
    const engine = await startWidgets({ cluster, kind });
    const pod = (name: string) => ({
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name: "p", namespace: "default", labels: { widget: name } },
    });
    await cluster.applyAs("kubelet", pod("w1"));
    await settled();
    decided.length = 0;
    await cluster.applyAs("kubelet", pod("w2"));
    await settled();
    expect(decided.sort()).toEqual(["w1", "w2"]);
    await engine.controller.stop();
  });

  test("a kind that is listed anew when a resource of it is asked for costs a retry, and no worker", async () => {
    const cluster = memoryCluster();
    await cluster.applyAs("kubectl", widget("w", { children: [] }));
    const engine = await startWidgets({ cluster, concurrency: 1 });
    const read = cluster.get.bind(cluster);
    let asked = 0;
    // As the adapter has it from when a definition is installed again until its objects are listed.
    cluster.get = () => {
      asked += 1;
      throw new ClusterError("Unavailable", "Widget is not listed yet");
    };
    await cluster.applyAs("kubectl", widget("w", { children: ["a"] }));
    await settled();
    expect(asked).toBeGreaterThan(0);
    cluster.get = read;
    await engine.advance(1000);
    expect(cluster.stored(configMapRef("w-a"))).toBeDefined();
    await engine.controller.stop();
  });

  test("a kind that is listed anew when all of it is to be decided again ends nothing", async () => {
    const engine = await startWidgets();
    const list = engine.cluster.list.bind(engine.cluster);
    engine.cluster.list = () => {
      throw new ClusterError("Unavailable", "Widget is not listed yet");
    };
    engine.clock.advance(36_000_000);
    engine.cluster.list = list;
    await engine.cluster.applyAs("kubectl", widget("w"));
    await settled();
    expect(engine.cluster.stored(configMapRef("w-a"))).toBeDefined();
    await engine.controller.stop();
  });

  test("requeueAfter decides again though nothing changed", async () => {
    const cluster = memoryCluster();
    let decided = 0;
    const kind = widgetKind({
      decide: (resource) => {
        decided++;
        return { ...decideWidget(resource), requeueAfter: 60_000 };
      },
    });
    await cluster.applyAs("kubectl", widget("w"));
    const engine = await startWidgets({ cluster, kind });
    const before = decided;
    await engine.advance(59_000);
    expect(decided).toBe(before);
    await engine.advance(2000);
    expect(decided).toBe(before + 1);
    await engine.controller.stop();
  });

  test("a kind that throws is logged, told in an Event and tried again, and holds up no other resource", async () => {
    const cluster = memoryCluster();
    let broken = true;
    const kind = widgetKind({
      decide: (resource) => {
        if (broken && resource.metadata.name === "bad") throw new Error("a defect");
        return decideWidget(resource);
      },
    });
    const engine = await startWidgets({ cluster, kind });
    await cluster.applyAs("kubectl", widget("bad"));
    await cluster.applyAs("kubectl", widget("good"));
    await engine.advance(100);
    expect(cluster.stored(configMapRef("good-a"))).toBeDefined();
    expect(cluster.events[0]).toMatchObject({
      about: widgetRef("bad"),
      reason: "ReconcileFailed",
      message: "a defect",
    });
    expect(engine.log.lines[0]).toMatchObject({
      level: "error",
      fields: { key: "default/bad", error: "a defect" },
    });
    broken = false;
    await engine.advance(1000);
    expect(cluster.stored(configMapRef("bad-a"))).toBeDefined();
    await engine.controller.stop();
  });

  test("an observation that never ends is cut off, and tried again", async () => {
    const cluster = memoryCluster();
    let calls = 0;
    let told = false;
    const kind = widgetKind({
      observe: (_resource, _cluster, signal) => {
        calls++;
        if (calls > 1) return Promise.resolve(undefined);
        signal.addEventListener("abort", () => {
          told = true;
        });
        return new Promise(() => undefined);
      },
    });
    await cluster.applyAs("kubectl", widget("w"));
    const engine = await startWidgets({ cluster, kind, concurrency: 1 });
    await engine.advance(31_000);
    await engine.advance(100);
    expect(told).toBe(true);
    expect(cluster.stored(configMapRef("w-a"))).toBeDefined();
    await engine.controller.stop();
  });

  test("a kind whose API comes later is watched and applied from then on", async () => {
    const cluster = memoryCluster();
    const scaled = { apiVersion: "keda.sh/v1alpha1", kind: "ScaledObject" };
    const kind = widgetKind({
      owns: [scaled],
      decide: (resource) => ({
        ...decideWidget(resource),
        children: [{ ...configMapOf(resource, "a"), ...scaled }],
      }),
    });
    await cluster.applyAs("kubectl", widget("w"));
    const engine = await startWidgets({ cluster, kind });
    expect(writesOf(cluster)).toEqual(["updateStatus Widget w"]);
    expect(engine.log.lines).toEqual([]);
    cluster.serve(scaled);
    await engine.advance(31_000);
    expect(cluster.stored({ ...scaled, namespace: "default", name: "w-a" })).toBeDefined();
    await engine.controller.stop();
  });

  test("a kind whose API goes and comes back is decided on at both, though no object tells of its return", async () => {
    const cluster = memoryCluster();
    const scaled = { apiVersion: "keda.sh/v1alpha1", kind: "ScaledObject" };
    cluster.serve(scaled);
    const kind = widgetKind({
      owns: [CONFIG_MAP, scaled],
      decide: (resource) => {
        const instead = cluster.serves(scaled) ? scaled : CONFIG_MAP;
        return { ...decideWidget(resource), children: [{ ...configMapOf(resource, "a"), ...instead }] };
      },
    });
    await cluster.applyAs("kubectl", widget("w"));
    const engine = await startWidgets({ cluster, kind });
    const child = (one: ObjectKind) => cluster.stored({ ...configMapRef("w-a"), ...one });
    expect(child(scaled)).toBeDefined();
    cluster.unserve(scaled);
    await engine.advance(31_000);
    expect(child(CONFIG_MAP)).toBeDefined();
    cluster.serve(scaled);
    await engine.advance(31_000);
    expect(child(scaled)).toBeDefined();
    expect(child(CONFIG_MAP)).toBeUndefined();
    await engine.controller.stop();
  });

  test("nothing is written while the fence is closed, and all of it afterwards", async () => {
    const cluster = memoryCluster();
    let open = true;
    const engine = await startWidgets({ cluster, mayWrite: () => open });
    // The lease goes after the first write of the reconcile.
    cluster.beforeWrite = () => {
      open = false;
    };
    await cluster.applyAs("kubectl", widget("w", { children: ["a", "b"] }));
    await engine.advance(1000);
    expect(writesOf(cluster)).toEqual(["updateStatus Widget w"]);
    expect(cluster.events).toEqual([]);
    open = true;
    cluster.beforeWrite = () => undefined;
    await engine.advance(10_000);
    expect(writesOf(cluster)).toEqual([
      "updateStatus Widget w",
      "apply ConfigMap w-a",
      "apply ConfigMap w-b",
    ]);
    await engine.controller.stop();
  });

  test("stop waits for the reconcile under way to write all of it, and starts no other", async () => {
    const cluster = memoryCluster();
    const engine = await startWidgets({ cluster, concurrency: 1 });
    let letGo: () => void = () => undefined;
    const held = new Promise<void>((resolve) => {
      letGo = resolve;
    });
    cluster.beforeWrite = (_verb, ref) => (ref.name === "w-a" ? held : undefined);
    await cluster.applyAs("kubectl", widget("w", { children: ["a", "b"] }));
    await cluster.applyAs("kubectl", widget("next"));
    await settled();
    let stopped = false;
    const stopping = engine.controller.stop().then(() => {
      stopped = true;
    });
    await settled();
    expect(stopped).toBe(false);
    letGo();
    await stopping;
    expect(writesOf(cluster)).toEqual([
      "updateStatus Widget w",
      "apply ConfigMap w-a",
      "apply ConfigMap w-b",
    ]);
    await engine.advance(60_000);
    expect(cluster.requests).toHaveLength(3);
  });

  test("a resource that goes is forgotten, and nothing is written for it", async () => {
    const cluster = memoryCluster();
    await cluster.applyAs("kubectl", widget("w"));
    const engine = await startWidgets({ cluster });
    cluster.requests.length = 0;
    cluster.remove(widgetRef("w"));
    await engine.advance(60_000);
    expect(cluster.requests).toEqual([]);
    expect(cluster.stored(configMapRef("w-a"))).toBeUndefined();
    await engine.controller.stop();
  });

  test.each([
    ["goes", []],
    ["is being deleted", ["foregroundDeletion"]],
  ])("a resource that %s in the middle of its reconcile gets no more children", async (_, finalizers) => {
    const cluster = memoryCluster();
    const engine = await startWidgets({ cluster });
    cluster.beforeWrite = async (verb, ref) => {
      if (verb !== "apply" || ref.name !== "w-a") return;
      cluster.remove(widgetRef("w"));
      await settled();
    };
    const resource = widget("w", { children: ["a", "b", "c"] });
    await cluster.applyAs("kubectl", { ...resource, metadata: { ...resource.metadata, finalizers } });
    await engine.advance(60_000);
    expect(writesOf(cluster)).toEqual(["updateStatus Widget w", "apply ConfigMap w-a"]);
    await engine.controller.stop();
  });

  test("a resource that is being deleted is left alone", async () => {
    const cluster = memoryCluster();
    const held = widget("w");
    held.metadata.finalizers = ["example.com/somebody"];
    await cluster.applyAs("kubectl", held);
    const engine = await startWidgets({ cluster, clock: new FakeClock() });
    cluster.remove(widgetRef("w"));
    cluster.remove(configMapRef("w-a"));
    await settled();
    expect(cluster.stored(widgetRef("w"))).toBeDefined();
    expect(cluster.stored(configMapRef("w-a"))).toBeUndefined();
    await engine.controller.stop();
  });
});
