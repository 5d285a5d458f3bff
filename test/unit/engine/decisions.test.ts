import { describe, expect, test } from "vitest";
import { ClusterError } from "../../../operator/engine/cluster.ts";
import {
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

describe("what a decision may be made on", () => {
  test("not on a cache that is older than the resource's own writes", async () => {
    const cluster = memoryCluster();
    let decided = 0;
    const kind = widgetKind({
      decide: (resource) => {
        decided++;
        return { ...decideWidget(resource), requeueAfter: 1000 };
      },
    });
    const engine = await startWidgets({ cluster, kind });
    await cluster.applyAs("kubectl", widget("w"));
    cluster.beforeWrite = (verb) => {
      if (verb === "apply") cluster.hold();
    };
    await settled();
    expect(cluster.stored(configMapRef("w-a"))).toBeDefined();
    expect(cluster.get(configMapRef("w-a"))).toBeUndefined();
    const before = decided;
    await engine.advance(5000);
    expect(decided).toBe(before);
    cluster.release();
    await settled();
    expect(decided).toBeGreaterThan(before);
    expect(writesOf(cluster).filter((write) => write.startsWith("apply"))).toHaveLength(1);
    await engine.controller.stop();
  });

  test("a child that is deleted before the cache ever showed it is not waited for", async () => {
    const cluster = memoryCluster();
    const engine = await startWidgets({ cluster });
    await cluster.applyAs("kubectl", widget("w"));
    cluster.beforeWrite = (verb) => {
      if (verb === "apply") cluster.hold();
    };
    await settled();
    cluster.beforeWrite = () => undefined;
    const first = cluster.stored(configMapRef("w-a"))?.metadata.uid;
    cluster.remove(configMapRef("w-a"));
    cluster.release();
    await settled();
    expect(cluster.stored(configMapRef("w-a"))?.metadata.uid).not.toBe(first);
    expect(cluster.stored(configMapRef("w-a"))).toBeDefined();
    await engine.controller.stop();
  });

  test("on an old cache after all, if the change never comes", async () => {
    const cluster = memoryCluster();
    let decided = 0;
    const kind = widgetKind({
      decide: (resource) => {
        decided++;
        return { ...decideWidget(resource), requeueAfter: 1000 };
      },
    });
    const engine = await startWidgets({ cluster, kind });
    await cluster.applyAs("kubectl", widget("w"));
    cluster.beforeWrite = (verb) => {
      if (verb === "apply") cluster.hold();
    };
    await settled();
    const before = decided;
    await engine.advance(11_000);
    expect(decided).toBe(before + 1);
    await engine.controller.stop();
  });

  test("a decision on a stale resource writes no child: status is refused first, then all is decided anew", async () => {
    const cluster = memoryCluster();
    const engine = await startWidgets({ cluster });
    await cluster.applyAs("kubectl", widget("w", { children: ["a"], value: "1" }));
    // The user's next change lands between the decision and its first write.
    let raced = false;
    cluster.beforeWrite = async (verb) => {
      if (verb !== "updateStatus" || raced) return;
      raced = true;
      await cluster.applyAs("kubectl", widget("w", { children: ["b"], value: "2" }));
    };
    await settled();
    expect(writesOf(cluster)).toEqual([
      "updateStatus Widget w",
      "updateStatus Widget w",
      "apply ConfigMap w-b",
    ]);
    expect(cluster.stored(configMapRef("w-a"))).toBeUndefined();
    expect(cluster.stored(widgetRef("w"))?.status).toEqual({ observedGeneration: 2 });
    expect(engine.log.lines).toEqual([]);
    await engine.controller.stop();
  });

  test("a child that was to be applied only as it was seen, and has changed, is decided anew and without a complaint", async () => {
    const cluster = memoryCluster();
    const ref = configMapRef("w-a");
    // Copies what it sees, as replicas are copied under an autoscaler, and marks each new value of spec.
    const kind = widgetKind({
      decide: (resource) => {
        const decision = decideWidget(resource);
        const seen = cluster.get(ref);
        const { count = "1" } = (seen?.data ?? {}) as { count?: string };
        const version = seen?.metadata.resourceVersion;
        const children = decision.children.map((child) => ({
          ...child,
          data: { ...(child.data as object), count },
          metadata: { ...child.metadata, ...(version === undefined ? {} : { resourceVersion: version }) },
        }));
        return { ...decision, children };
      },
    });
    const engine = await startWidgets({ cluster, kind });
    await cluster.applyAs("kubectl", widget("w", { children: ["a"], value: "1" }));
    await settled();
    let raced = false;
    cluster.beforeWrite = async (verb) => {
      if (verb !== "apply" || raced) return;
      raced = true;
      const { apiVersion, kind, ...metadata } = ref;
      await cluster.applyAs("autoscaler", { apiVersion, kind, metadata, data: { count: "5" } });
    };
    await cluster.applyAs("kubectl", widget("w", { children: ["a"], value: "2" }));
    await engine.advance(1000);
    expect(raced).toBe(true);
    expect(cluster.stored(ref)?.data).toMatchObject({ count: "5", value: "2" });
    expect(cluster.events).toEqual([]);
    expect(engine.log.lines).toEqual([]);
    await engine.controller.stop();
  });

  test("a child that is refused as a conflict, and was not sent for one version, is complained about", async () => {
    const cluster = memoryCluster();
    const engine = await startWidgets({ cluster });
    cluster.beforeWrite = (verb) => {
      if (verb === "apply") throw new ClusterError("Conflict", "a webhook said so");
    };
    await cluster.applyAs("kubectl", widget("w"));
    await engine.advance(1000);
    const errors = engine.log.lines.filter(({ level }) => level === "error");
    expect(errors[0]?.fields).toMatchObject({ error: "a webhook said so" });
    await engine.controller.stop();
  });

  test("an event of a decision is told once, when its status was stored", async () => {
    const cluster = memoryCluster();
    const kind = widgetKind({
      decide: (resource) => ({
        ...decideWidget(resource),
        events: resource.status === undefined ? [{ type: "Normal", reason: "Begun", message: "m" }] : [],
      }),
    });
    let conflicts = 3;
    cluster.beforeWrite = (verb) => {
      if (verb === "updateStatus" && conflicts-- > 0) throw new ClusterError("Unavailable", "no answer");
    };
    const engine = await startWidgets({ cluster, kind });
    await cluster.applyAs("kubectl", widget("w"));
    await engine.advance(1000);
    expect(cluster.events.map((event) => event.reason)).toEqual(["Begun"]);
    await engine.controller.stop();
  });
});
