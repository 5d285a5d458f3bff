import { describe, expect, test } from "vitest";
import { ClusterError } from "../../../operator/engine/cluster.ts";
import type { ChildFailure } from "../../../operator/engine/kind.ts";
import { type ObjectKind, ownerReferenceTo } from "../../../operator/engine/objects.ts";
import { keptRevisions } from "../../../operator/engine/revisions.ts";
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

describe("when the cluster refuses", () => {
  test("one child, the others are applied, decide is told, and it is tried again with backoff", async () => {
    const cluster = memoryCluster();
    const told: (readonly ChildFailure[])[] = [];
    const kind = widgetKind({
      decide: (resource, _observed, _now, failures = []) => {
        told.push(failures);
        const refused = failures.map((failure) => failure.ref.name);
        return { ...decideWidget(resource), status: { refused } };
      },
    });
    let refuse = true;
    cluster.beforeWrite = (_verb, ref) => {
      if (refuse && ref.name === "w-a") throw new ClusterError("Forbidden", "quota");
    };
    const engine = await startWidgets({ cluster, kind });
    await cluster.applyAs("kubectl", widget("w", { children: ["a", "b"] }));
    await engine.advance(1000);
    expect(cluster.stored(configMapRef("w-b"))).toBeDefined();
    expect(cluster.stored(widgetRef("w"))?.status).toEqual({ refused: ["w-a"] });
    expect(cluster.events).toContainEqual(
      expect.objectContaining({
        type: "Warning",
        reason: "ChildForbidden",
        message: expect.stringContaining("quota"),
      }),
    );
    const attempts = writesOf(cluster).filter((write) => write === "apply ConfigMap w-a").length;
    expect(attempts).toBeGreaterThan(2);
    expect(attempts).toBeLessThan(14);
    refuse = false;
    await engine.advance(10_000);
    expect(cluster.stored(configMapRef("w-a"))).toBeDefined();
    expect(cluster.stored(widgetRef("w"))?.status).toEqual({ refused: [] });
    expect(told.at(-1)).toEqual([]);
    await engine.controller.stop();
  });

  test("a child, nothing of its kind is pruned until it is applied", async () => {
    const cluster = memoryCluster();
    await cluster.applyAs("kubectl", widget("w", { children: ["old"] }));
    const engine = await startWidgets({ cluster });
    let refuse = true;
    cluster.beforeWrite = (_verb, ref) => {
      if (refuse && ref.name === "w-new") throw new ClusterError("Invalid", "no");
    };
    await cluster.applyAs("kubectl", widget("w", { children: ["new"] }));
    await engine.advance(100);
    expect(cluster.stored(configMapRef("w-old"))).toBeDefined();
    refuse = false;
    await engine.advance(1000);
    expect(cluster.stored(configMapRef("w-new"))).toBeDefined();
    expect(cluster.stored(configMapRef("w-old"))).toBeUndefined();
    await engine.controller.stop();
  });

  test("every write, it backs off and tries no second child meanwhile", async () => {
    const cluster = memoryCluster();
    let down = true;
    cluster.beforeWrite = (verb) => {
      if (down && verb === "apply") throw new ClusterError("Unavailable", "connection refused");
    };
    const engine = await startWidgets({ cluster });
    await cluster.applyAs("kubectl", widget("w", { children: ["a", "b"] }));
    await engine.advance(2000);
    const tried = writesOf(cluster).filter((write) => write.startsWith("apply"));
    expect(new Set(tried)).toEqual(new Set(["apply ConfigMap w-a"]));
    expect(tried.length).toBeLessThan(12);
    expect(cluster.events).toEqual([]);
    down = false;
    await engine.advance(10_000);
    expect(cluster.stored(configMapRef("w-b"))).toBeDefined();
    await engine.controller.stop();
  });

  test("every child because the namespace is being deleted, that is the end of it: no retry, no alarm, no Event", async () => {
    const cluster = memoryCluster();
    const engine = await startWidgets({ cluster });
    await cluster.applyAs("kubectl", widget("w", { children: ["a", "b"] }));
    await engine.advance(1000);
    cluster.beforeWrite = (verb) => {
      if (verb === "apply") throw new ClusterError("NamespaceTerminating", "being terminated");
    };
    cluster.requests.length = 0;
    cluster.remove(configMapRef("w-a"));
    await engine.advance(60_000);
    expect(writesOf(cluster)).toEqual(["apply ConfigMap w-a"]);
    expect(engine.log.lines.filter(({ level }) => level !== "debug")).toEqual([]);
    expect(cluster.events).toEqual([]);
    await engine.controller.stop();
  });
});

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
    ["of a kind that it does not own", { apiVersion: "v1", kind: "Service" }],
    ["in another namespace", { metadata: { name: "x", namespace: "elsewhere" } }],
    ["without an owner reference", { metadata: { name: "x", namespace: "default" } }],
  ])("a child %s is a defect that is reported before anything is written", async (_what, change) => {
    const cluster = memoryCluster();
    const kind = widgetKind({
      decide: (resource) => ({
        ...decideWidget(resource),
        children: [{ ...configMapOf(resource, "x"), ...change }],
      }),
    });
    const engine = await startWidgets({ cluster, kind });
    await cluster.applyAs("kubectl", widget("w"));
    await settled();
    expect(cluster.requests).toEqual([]);
    expect(cluster.events[0]).toMatchObject({ reason: "ReconcileFailed" });
    await engine.controller.stop();
  });
});

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
