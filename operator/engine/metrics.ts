import { Counter, Gauge, Histogram, type Registry } from "prom-client";
import { conditionMetrics, type ShowConditions } from "./condition-metrics.ts";
import { priorities, type QueueObserver } from "./queue.ts";
import type { Verb } from "./writer.ts";

export type ReconcileResult = "success" | "error" | "requeue" | "requeue_after";

/** The measures of one controller. */
export interface ControllerMetrics {
  readonly queue: QueueObserver;
  started(): void;
  /** `seconds` since `started`. */
  ended(result: ReconcileResult, seconds: number): void;
  wrote(verb: Verb): void;
  timedOut(): void;
}

export interface EngineMetrics {
  readonly showConditions: ShowConditions;
  /** `inWork`: seconds that the keys in work have been there, asked when metrics are read. */
  controller(
    name: string,
    concurrency: number,
    inWork: () => { sum: number; longest: number },
  ): ControllerMetrics;
}

/** controller-runtime's buckets, so that its dashboards and alerts fit. */
const RECONCILE_SECONDS = [
  0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.25,
  1.5, 1.75, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5, 6, 7, 8, 9, 10, 15, 20, 25, 30, 40, 50, 60,
];
const QUEUE_SECONDS = Array.from({ length: 12 }, (_, exponent) => 1e-8 * 10 ** exponent);
const RESULTS: readonly ReconcileResult[] = ["success", "error", "requeue", "requeue_after"];

/** Registers the engine's metrics, under controller-runtime's names and with its meanings. Once a registry. */
export function engineMetrics(registry: Registry): EngineMetrics {
  const registers = [registry];
  const ofController = ["controller"] as const;
  const ofQueue = ["name", "controller"] as const;
  const counter = <T extends string>(name: string, help: string, labelNames: readonly T[]) =>
    new Counter({ name, help, labelNames, registers });
  const histogram = <T extends string>(
    name: string,
    help: string,
    labelNames: readonly T[],
    buckets: number[],
  ) => new Histogram({ name, help, labelNames, buckets, registers });

  const total = counter("controller_runtime_reconcile_total", "Reconciliations, by result", [
    "controller",
    "result",
  ] as const);
  const errors = counter(
    "controller_runtime_reconcile_errors_total",
    "Reconciliations that failed",
    ofController,
  );
  const timeouts = counter(
    "controller_runtime_reconcile_timeouts_total",
    "Reconciliations whose observation took too long",
    ofController,
  );
  const time = histogram(
    "controller_runtime_reconcile_time_seconds",
    "Length of a reconciliation",
    ofController,
    RECONCILE_SECONDS,
  );
  const workers = new Gauge({
    name: "controller_runtime_max_concurrent_reconciles",
    help: "Reconciliations that may run at once",
    labelNames: ofController,
    registers,
  });
  const active = new Gauge({
    name: "controller_runtime_active_workers",
    help: "Reconciliations that are running",
    labelNames: ofController,
    registers,
  });
  const depth = new Gauge({
    name: "workqueue_depth",
    help: "Keys that are ready, by priority",
    labelNames: [...ofQueue, "priority"] as const,
    registers,
  });
  const adds = counter("workqueue_adds_total", "Keys that became ready", ofQueue);
  const retries = counter("workqueue_retries_total", "Keys that were added with a delay", ofQueue);
  const waited = histogram(
    "workqueue_queue_duration_seconds",
    "How long a key was ready before it was taken up",
    ofQueue,
    QUEUE_SECONDS,
  );
  const worked = histogram(
    "workqueue_work_duration_seconds",
    "How long a key was in work",
    ofQueue,
    QUEUE_SECONDS,
  );
  const writes = counter("naru_engine_writes_total", "Writes sent to the cluster; a no-op sends none", [
    "controller",
    "verb",
  ] as const);

  const inWorkOf = new Map<string, () => { sum: number; longest: number }>();
  new Gauge({
    name: "workqueue_unfinished_work_seconds",
    help: "Seconds of work in progress; large values indicate stuck reconciliations",
    labelNames: ofQueue,
    registers,
    collect() {
      for (const [name, inWork] of inWorkOf) this.set({ name, controller: name }, inWork().sum);
    },
  });
  new Gauge({
    name: "workqueue_longest_running_processor_seconds",
    help: "Seconds that the longest running reconciliation has taken",
    labelNames: ofQueue,
    registers,
    collect() {
      for (const [name, inWork] of inWorkOf) this.set({ name, controller: name }, inWork().longest);
    },
  });

  return {
    showConditions: conditionMetrics(registry),
    controller(name, concurrency, inWork) {
      const labels = { controller: name };
      const queueLabels = { name, controller: name };
      inWorkOf.set(name, inWork);
      workers.set(labels, concurrency);
      active.set(labels, 0);
      for (const result of RESULTS) total.inc({ ...labels, result }, 0);
      errors.inc(labels, 0);
      timeouts.inc(labels, 0);
      for (const priority of Object.values(priorities)) depth.set({ ...queueLabels, priority }, 0);
      return {
        queue: {
          depth: (priority, ready) => depth.set({ ...queueLabels, priority }, ready),
          added: () => adds.inc(queueLabels),
          taken: (seconds) => waited.observe(queueLabels, seconds),
          finished: (seconds) => worked.observe(queueLabels, seconds),
          retried: () => retries.inc(queueLabels),
        },
        started: () => active.inc(labels),
        ended(result, seconds) {
          active.dec(labels);
          time.observe(labels, seconds);
          total.inc({ ...labels, result });
          if (result === "error") errors.inc(labels);
        },
        wrote: (verb) => writes.inc({ ...labels, verb }),
        timedOut: () => timeouts.inc(labels),
      };
    },
  };
}
