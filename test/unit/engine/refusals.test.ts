import { describe, expect, test } from "vitest";
import { ClusterError } from "../../../operator/engine/cluster.ts";
import type { ChildFailure } from "../../../operator/engine/kind.ts";
import {
  configMapOf,
  configMapRef,
  decideWidget,
  memoryCluster,
  SECRET,
  startWidgets,
  widget,
  widgetKind,
  widgetRef,
  writesOf,
} from "../../support/widgets.ts";

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

  test("one child in other words each time, it is not tried without a pause", async () => {
    const cluster = memoryCluster();
    let attempts = 0;
    cluster.beforeWrite = (_verb, ref) => {
      if (ref.name !== "w-a") return;
      attempts += 1;
      throw new ClusterError("Forbidden", `denied by request ${attempts}`);
    };
    const kind = widgetKind({
      decide: (resource, _observed, _now, failures = []) => ({
        ...decideWidget(resource),
        status: { refused: failures.map(({ message }) => message) },
      }),
    });
    await cluster.applyAs("kubectl", widget("w"));
    const engine = await startWidgets({ cluster, kind });
    await engine.advance(10_000);
    expect(attempts).toBeGreaterThan(2);
    expect(attempts).toBeLessThan(40);
    expect(cluster.stored(widgetRef("w"))?.status).toEqual({ refused: [expect.stringMatching(/ 1$/)] });
    await engine.advance(300_000);
    expect(cluster.stored(widgetRef("w"))?.status).not.toEqual({
      refused: [expect.stringMatching(/ 1$/)],
    });
    await engine.controller.stop();
  });

  test("a child that is then wanted no longer, status says so though nothing was written that would tell", async () => {
    const cluster = memoryCluster();
    cluster.beforeWrite = (_verb, ref) => {
      if (ref.name === "w-b") throw new ClusterError("NotServed", "its definition has gone");
    };
    let wanted = ["a", "b"];
    const kind = widgetKind({
      decide: (resource, _observed, _now, failures = []) => ({
        ...decideWidget(resource),
        children: wanted.map((name) => configMapOf(resource, name)),
        status: { refused: failures.map(({ ref }) => ref.name) },
      }),
    });
    await cluster.applyAs("kubectl", widget("w"));
    const engine = await startWidgets({ cluster, kind });
    await engine.advance(1000);
    expect(cluster.stored(widgetRef("w"))?.status).toEqual({ refused: ["w-b"] });
    wanted = ["a"];
    await engine.advance(10_000);
    expect(cluster.stored(widgetRef("w"))?.status).toEqual({ refused: [] });
    await engine.controller.stop();
  });

  test("to show a kind that decisions rest on, nothing is decided or pruned, and it is told, until it shows it", async () => {
    const cluster = memoryCluster();
    const kind = widgetKind({ needs: [SECRET] });
    await cluster.applyAs("kubectl", widget("w", { children: ["a"] }));
    const engine = await startWidgets({ cluster, kind });
    cluster.requests.length = 0;
    let shown = false;
    cluster.isAllowed = (asked, namespace) => shown || asked.kind !== "Secret" || namespace !== "default";
    await cluster.applyAs("kubectl", widget("w", { children: ["b"] }));
    await engine.advance(5000);
    expect(writesOf(cluster)).toEqual([]);
    expect(cluster.events).toContainEqual(
      expect.objectContaining({
        reason: "KindUnreadable",
        message: expect.stringContaining("Secret (v1)"),
        about: widgetRef("w"),
      }),
    );
    shown = true;
    await engine.advance(10_000);
    expect(writesOf(cluster)).toEqual([
      "updateStatus Widget w",
      "apply ConfigMap w-b",
      "delete ConfigMap w-a",
    ]);
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
