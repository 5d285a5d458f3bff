import { describe, expect, test } from "vitest";
import { ownerReferenceTo } from "../../../operator/engine/objects.ts";
import {
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

describe("pruning", () => {
  test("deletes what the resource controls and wants no longer, and nobody else's", async () => {
    const cluster = memoryCluster();
    const other = await cluster.applyAs("kubectl", widget("other", { children: ["x"] }));
    await cluster.applyAs("kubectl", widget("w", { children: ["a", "b"] }));
    const engine = await startWidgets({ cluster });
    const w = cluster.stored(widgetRef("w"));
    if (w === undefined) throw new Error("no widget");
    // Neither of these is controlled by w: one has no owner, the other only names it.
    await cluster.applyAs("somebody", {
      ...configMapOf(w, "free"),
      metadata: { name: "w-free", namespace: "default" },
    });
    const named = { ...ownerReferenceTo(w), controller: false };
    await cluster.applyAs("somebody", {
      ...configMapOf(w, "named"),
      metadata: { name: "w-named", namespace: "default", ownerReferences: [named, ownerReferenceTo(other)] },
    });
    await settled();
    cluster.requests.length = 0;
    await cluster.applyAs("kubectl", widget("w", { children: [] }));
    await settled();
    expect(writesOf(cluster).filter((write) => write.startsWith("delete"))).toEqual([
      "delete ConfigMap w-a",
      "delete ConfigMap w-b",
      // w-named was never wanted by its controller, the other widget.
    ]);
    expect(cluster.stored(configMapRef("w-free"))).toBeDefined();
    expect(cluster.stored(configMapRef("other-x"))).toBeDefined();
    await engine.controller.stop();
  });
});

describe("a decision that prunes nothing", () => {
  test("leaves what the resource owned as it is, until one prunes again", async () => {
    const cluster = memoryCluster();
    const kind = widgetKind({
      decide: (resource) => {
        const { unreadable } = resource.spec as { unreadable?: boolean };
        return unreadable ? { children: [], prune: false, status: {}, events: [] } : decideWidget(resource);
      },
    });
    await cluster.applyAs("kubectl", widget("w"));
    const engine = await startWidgets({ cluster, kind });
    await cluster.applyAs("kubectl", widget("w", { unreadable: true }));
    await settled();
    expect(cluster.stored(configMapRef("w-a"))).toBeDefined();
    await cluster.applyAs("kubectl", widget("w", { children: [] }));
    await settled();
    expect(cluster.stored(configMapRef("w-a"))).toBeUndefined();
    await engine.controller.stop();
  });
});
