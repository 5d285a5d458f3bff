import { parseArgs } from "node:util";
import { Registry } from "prom-client";
import { Controller } from "../../../operator/engine/controller.ts";
import { engineMetrics } from "../../../operator/engine/metrics.ts";
import { refOf } from "../../../operator/engine/objects.ts";
import {
  configMapRef,
  MemoryLog,
  memoryCluster,
  widget,
  widgetKind,
  widgetRef,
} from "../../support/widgets.ts";

/**
 * The engine alone, without an API server: `node test/bench/engine/newcomer.ts [--resources 10000] [--latency 0]`.
 * A first pass over all resources (one child each), a pass in which nothing differs, and how long newcomers wait while
 * it runs. `--latency` is the milliseconds that each write takes. Nothing is asserted.
 */
const { values } = parseArgs({
  options: { resources: { type: "string", default: "10000" }, latency: { type: "string", default: "0" } },
});
const resources = Number(values.resources);
const latency = Number(values.latency);

const cluster = memoryCluster();
for (let i = 0; i < resources; i++) await cluster.applyAs("kubectl", widget(`w${i}`));
await until(() => cluster.get(widgetRef(`w${resources - 1}`)) !== undefined);
if (latency > 0) cluster.beforeWrite = () => new Promise((resolve) => setTimeout(resolve, latency));

let decided = 0;
const kind = widgetKind();
const counting = widgetKind({
  decide: (resource, observed, now) => {
    decided++;
    return kind.decide(resource, observed, now);
  },
});

const registry = new Registry();
const first = controller();
const firstFrom = performance.now();
await first.start();
const firstWaits = await newcomers("first", () => cluster.requests.length >= 2 * resources);
report("first pass", resources, performance.now() - firstFrom, firstWaits);
await until(() => cluster.get(configMapRef(`w${resources - 1}-a`)) !== undefined);
await new Promise((resolve) => setTimeout(resolve, 500));
await first.stop();

// A restart: every resource is decided again, and nothing differs.
decided = 0;
cluster.requests.length = 0;
const second = controller();
const secondFrom = performance.now();
await second.start();
const secondWaits = await newcomers("second", () => decided >= resources);
report("no-op pass", resources, performance.now() - secondFrom, secondWaits);
console.log(
  `writes in the no-op pass: ${cluster.requests.length}, of which newcomers' ${2 * secondWaits.length}`,
);
console.log(
  `heap: ${Math.round(process.memoryUsage().heapUsed / 2 ** 20)} MiB, RSS: ${Math.round(process.memoryUsage().rss / 2 ** 20)} MiB (the cluster included)`,
);
await second.stop();

function controller(): Controller<unknown> {
  registry.clear();
  return new Controller({ cluster, kind: counting, log: new MemoryLog(), metrics: engineMetrics(registry) });
}

/** Adds a newcomer every now and then until `over`, and answers how long each waited for its child, in ms. */
async function newcomers(prefix: string, over: () => boolean): Promise<number[]> {
  const waits: number[] = [];
  while (!over()) {
    const name = `new-${prefix}-${waits.length}`;
    const from = performance.now();
    await cluster.applyAs("kubectl", widget(name));
    await until(
      () =>
        cluster.stored(refOf({ ...widget(`${name}-a`), apiVersion: "v1", kind: "ConfigMap" })) !== undefined,
    );
    waits.push(performance.now() - from);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return waits;
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
}

function report(what: string, count: number, milliseconds: number, waits: readonly number[]): void {
  const sorted = waits.toSorted((a, b) => a - b);
  const at = (share: number): string =>
    (sorted[Math.floor(share * (sorted.length - 1))] ?? Number.NaN).toFixed(1);
  const rate = Math.round((count / milliseconds) * 1000);
  console.log(
    `${what}: ${count} resources in ${(milliseconds / 1000).toFixed(2)} s (${rate}/s); ` +
      `${waits.length} newcomers waited p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, at most ${at(1)} ms`,
  );
}
