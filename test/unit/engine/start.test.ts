import { expect, test } from "vitest";
import { startControllers } from "../../../operator/engine/start.ts";
import { eventually } from "../../support/eventually.ts";
import { MemoryCluster } from "../../support/memory-cluster.ts";
import {
  CONFIG_MAP,
  configMapRef,
  MemoryLog,
  memoryCluster,
  WIDGET,
  widget,
  widgetKind,
  writesOf,
} from "../../support/widgets.ts";

const GADGET = { apiVersion: WIDGET.apiVersion, kind: "Gadget" };

test("several kinds run on one cluster, each with its own children, and all stop", async () => {
  const cluster = new MemoryCluster([WIDGET, GADGET, CONFIG_MAP]);
  await cluster.applyAs("kubectl", widget("w"));
  const kinds = [widgetKind(), widgetKind({ kind: GADGET })];
  const engine = await startControllers({ cluster, kinds, log: new MemoryLog() });
  await cluster.applyAs("kubectl", { ...widget("g"), ...GADGET });
  await eventually("children of both", () => {
    const children = ["w-a", "g-a"].map((name) => cluster.get(configMapRef(name)));
    return children.every((child) => child !== undefined);
  });
  expect(cluster.get(configMapRef("g-a"))?.metadata.ownerReferences?.[0]?.kind).toBe("Gadget");
  await engine.stop();
  const writes = writesOf(cluster).length;
  await cluster.applyAs("kubectl", widget("late"));
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(writesOf(cluster)).toHaveLength(writes);
});

test("a cluster that cannot be watched fails the start, and leaves nothing running", async () => {
  const cluster = memoryCluster();
  const watched: string[] = [];
  const watch = cluster.watch.bind(cluster);
  cluster.watch = async (query, onChange) => {
    if (query.kind === GADGET.kind) throw new Error("refused");
    const started = await watch(query, onChange);
    watched.push(query.kind);
    return {
      stop: () => {
        watched.splice(watched.indexOf(query.kind), 1);
        started.stop();
      },
    };
  };
  const kinds = [widgetKind(), widgetKind({ kind: GADGET })];
  await expect(startControllers({ cluster, kinds, log: new MemoryLog() })).rejects.toThrow("refused");
  expect(watched).toEqual([]);
});
