import { describe, expect, test } from "vitest";
import { ClusterError } from "../../../operator/engine/cluster.ts";
import { type KubeObject, ownerReferenceTo } from "../../../operator/engine/objects.ts";
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

describe("what is somebody else's", () => {
  test("an object of a child's name is left alone, and an Event says whose it is", async () => {
    const cluster = memoryCluster();
    const other = await cluster.applyAs("kubectl", widget("other", { children: [] }));
    await cluster.applyAs("somebody", {
      ...configMapOf(other, "x", { value: "theirs" }),
      metadata: { name: "w-a", namespace: "default" },
    });
    const engine = await startWidgets({ cluster });
    await cluster.applyAs("kubectl", widget("w", { children: ["a", "b"] }));
    await engine.advance(50);
    expect(cluster.stored(configMapRef("w-a"))?.data).toEqual({ value: "theirs" });
    expect(cluster.stored(configMapRef("w-b"))).toBeDefined();
    expect(cluster.events[0]).toMatchObject({ reason: "NameTaken", type: "Warning" });
    cluster.remove(configMapRef("w-a"));
    await engine.advance(1000);
    expect(cluster.stored(configMapRef("w-a"))?.data).toEqual({ value: "1" });
    await engine.controller.stop();
  });

  test("a name that was taken for long is used as soon as it is free", async () => {
    const cluster = memoryCluster();
    const theirs = { ...CONFIG_MAP, metadata: { name: "w-a", namespace: "default" } };
    await cluster.applyAs("somebody", theirs);
    await cluster.applyAs("kubectl", widget("w"));
    const engine = await startWidgets({ cluster });
    await engine.advance(400_000);
    cluster.remove(configMapRef("w-a"));
    await settled();
    expect(cluster.stored(configMapRef("w-a"))?.data).toEqual({ value: "1" });
    await engine.controller.stop();
  });

  test("a resource that is made anew waits for the garbage collector without an alarm", async () => {
    const cluster = memoryCluster();
    await cluster.applyAs("kubectl", widget("w"));
    const engine = await startWidgets({ cluster });
    const before = cluster.stored(configMapRef("w-a"));
    cluster.remove(widgetRef("w"));
    const anew = await cluster.applyAs("kubectl", widget("w", { children: ["a"], value: "2" }));
    await engine.advance(1000);
    const after = cluster.stored(configMapRef("w-a"));
    expect(after?.metadata.uid).not.toBe(before?.metadata.uid);
    expect(after).toMatchObject({
      data: { value: "2" },
      metadata: { ownerReferences: [{ uid: anew.metadata.uid }] },
    });
    expect(cluster.events).toEqual([]);
    await engine.controller.stop();
  });

  test("a child of an earlier resource of that name is not touched, however long the collector takes", async () => {
    const cluster = memoryCluster();
    const earlier = await cluster.applyAs("kubectl", widget("w"));
    const engine = await startWidgets({ cluster });
    cluster.collecting = false;
    cluster.remove(widgetRef("w"));
    await settled();
    await cluster.applyAs("kubectl", widget("w", { children: [], value: "2" }));
    await cluster.applyAs("kubectl", widget("w", { children: ["a"], value: "2" }));
    cluster.requests.length = 0;
    await engine.advance(1000);
    expect(cluster.stored(configMapRef("w-a"))?.metadata.ownerReferences).toEqual([
      ownerReferenceTo(earlier),
    ]);
    expect(writesOf(cluster).filter((write) => !write.startsWith("updateStatus"))).toEqual([]);
    cluster.collecting = true;
    await engine.advance(10_000);
    expect(cluster.stored(configMapRef("w-a"))?.data).toEqual({ value: "2" });
    expect(cluster.events).toEqual([]);
    await engine.controller.stop();
  });

  test("a child that another resource has taken over is not pruned", async () => {
    const cluster = memoryCluster();
    const other = await cluster.applyAs("kubectl", widget("other", { children: [] }));
    await cluster.applyAs("kubectl", widget("w"));
    const engine = await startWidgets({ cluster });
    const metadata = { name: "w-a", namespace: "default", ownerReferences: [ownerReferenceTo(other)] };
    // Its owner reference is changed while the widget stops wanting it.
    await cluster.applyAs("kubectl", widget("w", { children: [] }));
    await cluster.applyAs("naru-operator", { ...configMapOf(other, "x"), metadata });
    cluster.requests.length = 0;
    await settled();
    // Its new owner does not want it either, and is the one that deletes it: once.
    expect(writesOf(cluster).filter((write) => write.startsWith("delete"))).toEqual(["delete ConfigMap w-a"]);
    await engine.controller.stop();
  });

  test("what was refused for an earlier resource of that name is not told of the new one", async () => {
    const cluster = memoryCluster();
    const told = new Map<string | undefined, number[]>();
    const kind = widgetKind({
      decide: (resource, _observed, _now, failures = []) => {
        const { uid } = resource.metadata;
        told.set(uid, [...(told.get(uid) ?? []), failures.length]);
        return decideWidget(resource);
      },
    });
    cluster.beforeWrite = (_verb, ref) => {
      if (ref.name === "w-a") throw new ClusterError("Forbidden", "quota");
    };
    const engine = await startWidgets({ cluster, kind });
    const earlier = await cluster.applyAs("kubectl", widget("w"));
    await engine.advance(100);
    cluster.remove(widgetRef("w"));
    const anew = await cluster.applyAs("kubectl", widget("w"));
    await engine.advance(100);
    expect(told.get(earlier.metadata.uid)?.at(-1)).toBe(1);
    expect(told.get(anew.metadata.uid)?.[0]).toBe(0);
    await engine.controller.stop();
  });

  test("children that an earlier resource of that name left as orphans are taken over", async () => {
    const cluster = memoryCluster();
    const orphan = configMapOf(widget("w"), "a", { value: "1" });
    await cluster.applyAs("naru-operator", {
      ...orphan,
      metadata: { name: "w-a", namespace: "default", annotations: { "naru.dev/applied": "some hash" } },
    });
    const engine = await startWidgets({ cluster });
    const owner = await cluster.applyAs("kubectl", widget("w"));
    await settled();
    expect(cluster.stored(configMapRef("w-a"))?.metadata.ownerReferences?.[0]?.uid).toBe(owner.metadata.uid);
    await engine.controller.stop();
  });

  test.each([
    ["of a kind that it does not own", (child: KubeObject) => ({ ...child, kind: "Service" })],
    [
      "in another namespace",
      (child: KubeObject) => ({ ...child, metadata: { ...child.metadata, namespace: "elsewhere" } }),
    ],
    [
      "without its owner reference",
      (child: KubeObject) => ({ ...child, metadata: { name: "x", namespace: "default" } }),
    ],
  ])("a child %s is a defect that is reported before anything is written", async (what, changed) => {
    const cluster = memoryCluster();
    const kind = widgetKind({
      decide: (resource) => ({
        ...decideWidget(resource),
        children: [changed(configMapOf(resource, "x"))],
      }),
    });
    const engine = await startWidgets({ cluster, kind });
    await cluster.applyAs("kubectl", widget("w"));
    await settled();
    expect(cluster.requests).toEqual([]);
    expect(cluster.events[0]).toMatchObject({
      reason: "ReconcileFailed",
      message: expect.stringContaining(what.replace("of a kind", "a kind")),
    });
    await engine.controller.stop();
  });
});
