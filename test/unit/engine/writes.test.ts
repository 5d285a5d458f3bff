import { describe, expect, test } from "vitest";
import { keptRevisions } from "../../../operator/engine/revisions.ts";
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

describe("what a reconcile writes", () => {
  test("revisions first, then status, then the other children in their order, then deletions", async () => {
    const cluster = memoryCluster();
    const engine = await startWidgets({
      cluster,
      kind: widgetKind({
        decide: (resource) => {
          const decision = decideWidget(resource);
          const revisions = keptRevisions({
            owner: resource,
            observed: [],
            current: { is: "this" },
            inUse: [],
          });
          return { ...decision, children: [...decision.children, ...revisions] };
        },
      }),
    });
    await cluster.applyAs("kubectl", widget("w", { children: ["b", "a"] }));
    await settled();
    await cluster.applyAs("kubectl", widget("w", { children: ["c"] }));
    await settled();
    const revision = expect.stringMatching(/^apply ControllerRevision w-/);
    expect(writesOf(cluster)).toEqual([
      revision,
      "updateStatus Widget w",
      "apply ConfigMap w-b",
      "apply ConfigMap w-a",
      "updateStatus Widget w",
      "apply ConfigMap w-c",
      "delete ConfigMap w-b",
      "delete ConfigMap w-a",
    ]);
    await engine.controller.stop();
  });

  test("nothing once all is as wanted, whatever the server defaulted and others added", async () => {
    const cluster = memoryCluster();
    cluster.defaults = (object) => {
      if (object.kind === "ConfigMap") object.immutable ??= false;
    };
    await cluster.applyAs("kubectl", widget("w", { children: ["a"] }));
    const engine = await startWidgets({ cluster });
    await cluster.applyAs("other", {
      ...configMapOf(widget("w"), "a", { theirs: "1" }),
      metadata: { name: "w-a", namespace: "default", labels: { theirs: "1" } },
    });
    await settled();
    cluster.requests.length = 0;
    await cluster.applyAs("kubectl", {
      ...widget("w"),
      metadata: { ...widget("w").metadata, labels: { touched: "1" } },
    });
    await engine.advance(36_000_000);
    expect(cluster.requests).toEqual([]);
    expect(cluster.stored(configMapRef("w-a"))).toMatchObject({
      data: { value: "1", theirs: "1" },
      immutable: false,
    });
    await engine.controller.stop();
  });

  test("status that is another at each look is written now and then, not at each of its own writes", async () => {
    const cluster = memoryCluster();
    // As the requests that a canary has answered, which rise from look to look.
    let looks = 0;
    const kind = widgetKind({
      decide: (resource) => {
        looks += 1;
        return { ...decideWidget(resource), status: { looks } };
      },
    });
    await cluster.applyAs("kubectl", widget("w", { children: [] }));
    const engine = await startWidgets({ cluster, kind });
    await engine.advance(10_000);
    expect(looks).toBeGreaterThan(5);
    expect(looks).toBeLessThan(15);
    await engine.controller.stop();
  });

  test("one request and no more where the server stores a value in a way of its own", async () => {
    const cluster = memoryCluster();
    cluster.defaults = (object) => {
      if (object.kind === "ConfigMap")
        object.data = { ...(object.data as object), value: "as the server likes it" };
    };
    await cluster.applyAs("kubectl", widget("w"));
    const engine = await startWidgets({ cluster });
    await engine.advance(36_000_000);
    expect(writesOf(cluster)).toEqual(["updateStatus Widget w", "apply ConfigMap w-a"]);
    await engine.controller.stop();
  });

  test("a field that is wanted no longer is dropped, though the server would keep it", async () => {
    const cluster = memoryCluster();
    const engine = await startWidgets({
      cluster,
      kind: widgetKind({
        decide: (resource) => ({
          ...decideWidget(resource),
          children: [configMapOf(resource, "a", (resource.spec as { data: Record<string, string> }).data)],
        }),
      }),
    });
    await cluster.applyAs("kubectl", widget("w", { data: { kept: "1", dropped: "1" } }));
    await settled();
    await cluster.applyAs("kubectl", widget("w", { data: { kept: "1" } }));
    await settled();
    expect(cluster.stored(configMapRef("w-a"))?.data).toEqual({ kept: "1" });
    await engine.controller.stop();
  });

  test("a field that another manager changed is taken back, and an Event names the manager", async () => {
    const cluster = memoryCluster();
    await cluster.applyAs("kubectl", widget("w"));
    const engine = await startWidgets({ cluster });
    const metadata = { name: "w-a", namespace: "default" };
    await cluster.applyAs("kubectl-edit", { ...configMapOf(widget("w"), "a", { value: "mine" }), metadata });
    await settled();
    expect(cluster.stored(configMapRef("w-a"))?.data).toEqual({ value: "1" });
    expect(cluster.events).toEqual([
      expect.objectContaining({
        about: widgetRef("w"),
        reason: "FieldTakenBack",
        message: expect.stringContaining("kubectl-edit"),
      }),
    ]);
    await engine.controller.stop();
  });

  test("a child that somebody deletes is made again", async () => {
    const cluster = memoryCluster();
    await cluster.applyAs("kubectl", widget("w"));
    const engine = await startWidgets({ cluster });
    const first = cluster.stored(configMapRef("w-a"))?.metadata.uid;
    cluster.remove(configMapRef("w-a"));
    await settled();
    expect(cluster.stored(configMapRef("w-a"))?.metadata.uid).not.toBe(first);
    expect(cluster.stored(configMapRef("w-a"))).toBeDefined();
    await engine.controller.stop();
  });
});
