import { setImmediate as nextTurn } from "node:timers/promises";
import { messageOf } from "../../lib/errors.ts";
import { type Clock, systemClock } from "./clock.ts";
import { type Cluster, ClusterError, type WatchEvent } from "./cluster.ts";
import { ConditionCensus } from "./condition-census.ts";
import type { ShowConditions } from "./condition-metrics.ts";
import {
  keyOfResource,
  keysOfResource,
  priorityOfListed,
  priorityOfResource,
  type Seen,
  seenOf,
} from "./event-keys.ts";
import { Expectations } from "./expectations.ts";
import type { ControlledKind } from "./kind.ts";
import type { Log } from "./log.ts";
import type { ControllerMetrics, EngineMetrics, ReconcileResult } from "./metrics.ts";
import type { KubeObject, ObjectRef } from "./objects.ts";
import { Observations } from "./observations.ts";
import { OwnedIndex } from "./owned-index.ts";
import { type Priority, priorities, type Taken, WorkQueue } from "./queue.ts";
import { type Memory, reconcile, tellAbout } from "./reconcile.ts";
import { TakenNames } from "./taken-names.ts";
import { sourcesOf, Watches } from "./watches.ts";
import { Writer, WritesFenced } from "./writer.ts";

export interface ControllerOptions<Observed> {
  cluster: Cluster;
  kind: ControlledKind<Observed>;
  log: Log;
  /** Reconciles that may run at once, each of another resource. */
  concurrency?: number;
  clock?: Clock;
  metrics?: EngineMetrics;
  /** Asked before every write: false once the lease may be lost, by a monotonic clock. Always true by default. */
  mayWrite?: () => boolean;
}

const CONCURRENCY = 8;
/** Milliseconds from a write of status to the next look for its sake: what it counts may be another at each of them. */
const OWN_WRITE_PAUSE = 1000;
/** Milliseconds after which every resource is decided again though nothing was seen to change: 10 hours. */
const RESYNC = 36_000_000;

/**
 * Runs one kind: watches it and all that its decisions read, queues the resources that a change concerns, and
 * reconciles them, several at a time and none twice at once.
 */
export class Controller<Observed> {
  readonly name: string;
  readonly #cluster: Cluster;
  readonly #kind: ControlledKind<Observed>;
  readonly #log: Log;
  readonly #clock: Clock;
  readonly #concurrency: number;
  readonly #mayWrite: () => boolean;
  readonly #metrics: ControllerMetrics | undefined;
  readonly #showConditions: ShowConditions | undefined;
  readonly #queue: WorkQueue;
  readonly #watches: Watches;
  readonly #owned = new OwnedIndex();
  readonly #memories = new Map<string, Memory>();
  readonly #seen = new Map<string, Seen>();
  /** Keys that wait until the cache shows what was written. */
  readonly #awaited = new Set<string>();
  readonly #taken = new TakenNames();
  readonly #observations: Observations;
  #stopping = false;
  #hideConditions: (() => void) | undefined;
  #cancelResync: (() => void) | undefined;

  constructor(options: ControllerOptions<Observed>) {
    const { cluster, kind, clock = systemClock, concurrency = CONCURRENCY } = options;
    this.name = kind.kind.kind.toLowerCase();
    this.#cluster = cluster;
    this.#kind = kind;
    this.#log = options.log;
    this.#clock = clock;
    this.#concurrency = concurrency;
    this.#mayWrite = options.mayWrite ?? (() => true);
    this.#metrics = options.metrics?.controller(this.name, concurrency, () => this.#queue.inWork());
    this.#showConditions = options.metrics?.showConditions;
    this.#queue = new WorkQueue(clock, this.#metrics?.queue);
    this.#watches = new Watches(cluster, clock);
    this.#observations = new Observations(clock, () => this.#metrics?.timedOut());
  }

  /** Resolves when what is there has been listed and reconciles have begun: never on half a cache. */
  async start(): Promise<void> {
    const sources = sourcesOf(this.#kind);
    await this.#watches.start(
      sources,
      (source, event, listing) => {
        if (source.owned) this.#owned.update(event);
        const priority = listing ? priorities.Backlog : priorities.Change;
        for (const key of source.keys(event)) this.#onChange(key, event, priority);
        const freed = source.owned && event.type === "Deleted" ? this.#taken.whoWaitsFor(event.object) : [];
        for (const key of freed) this.#onChange(key, event, priority);
      },
      () => this.#resync(),
      (thrown) =>
        this.#log.warn({ controller: this.name, error: messageOf(thrown) }, "a watch could not be started"),
    );
    let listing = true;
    const show = this.#showConditions;
    const census = show && new ConditionCensus(this.#kind.kind.kind, this.#kind.conditions ?? []);
    await this.#watches.add(this.#kind.kind, (event) => {
      census?.update(event);
      for (const key of keysOfResource(event)) {
        const priority = listing
          ? priorityOfListed(event.object)
          : priorityOfResource(event, this.#seen.get(key));
        if (event.type === "Deleted") this.#seen.delete(key);
        else this.#seen.set(key, seenOf(event.object));
        const ownWrite = !listing && priority !== priorities.User && !this.#awaited.has(key);
        this.#onChange(key, event, priority, ownWrite ? OWN_WRITE_PAUSE : 0);
      }
    });
    listing = false;
    if (this.#stopping) return;
    if (census !== undefined) this.#hideConditions = show?.(census);
    this.#scheduleResync();
    for (let worker = 0; worker < this.#concurrency; worker++) void this.#work();
  }

  /** Starts nothing more, and resolves when the reconciles under way have ended: none is cut off between two writes. */
  async stop(): Promise<void> {
    this.#stopping = true;
    this.#hideConditions?.();
    this.#cancelResync?.();
    this.#watches.stop();
    this.#observations.cutOff(new Error("the controller stops"));
    await this.#queue.shutDown();
  }

  #onChange(key: string, { type, object }: WatchEvent, priority: Priority, after = 0): void {
    if (type === "Deleted") this.#memories.get(key)?.expectations.gone(object);
    this.#queue.add(key, { priority, after });
  }

  #resync(): void {
    for (const resource of this.#cluster.list(this.#kind.kind)) {
      this.#queue.add(keyOfResource(resource), { priority: priorities.Backlog });
    }
  }

  #scheduleResync(): void {
    this.#cancelResync = this.#clock.after(RESYNC, () => {
      this.#scheduleResync();
      try {
        this.#resync();
      } catch (thrown) {
        // The kind is listed anew in this very moment, which tells of all its resources by itself.
        this.#log.debug({ controller: this.name, error: messageOf(thrown) }, "nothing to go through again");
      }
    });
  }

  async #work(): Promise<void> {
    for (let taken = await this.#queue.take(); taken !== undefined; taken = await this.#queue.take()) {
      const from = this.#clock.monotonic();
      this.#metrics?.started();
      const result = await this.#process(taken);
      this.#metrics?.ended(result, (this.#clock.monotonic() - from) / 1000);
      this.#queue.done(taken.key);
      // A reconcile that changes nothing waits for nothing. Thousands of them in a row would keep the process from
      // its sockets and timers: from newcomers, health checks, and the renewal of its lease.
      await nextTurn();
    }
  }

  /** Never throws: whatever goes wrong is logged and tried again. */
  async #process({ key, priority }: Taken): Promise<ReconcileResult> {
    this.#awaited.delete(key);
    let resource: KubeObject | undefined;
    try {
      // Reading throws as well, while a kind is listed anew.
      resource = this.#cluster.get(this.#refOf(key));
      if (resource === undefined) {
        this.#memories.delete(key);
        this.#taken.set(key, []);
        this.#queue.forget(key);
        return "success";
      }
      // The garbage collector takes its children; there is nothing to be done for it any more.
      if (resource.metadata.deletionTimestamp !== undefined) return "success";
      const memory = this.#memoryOf(key, resource);
      const wait = memory.expectations.wait(this.#cluster);
      if (wait > 0) {
        this.#awaited.add(key);
        this.#queue.add(key, { priority, after: wait });
        return "requeue";
      }
      return await this.#reconcile(key, priority, resource, memory);
    } catch (thrown) {
      return this.#failed(key, priority, resource, thrown);
    }
  }

  async #reconcile(
    key: string,
    priority: Priority,
    resource: KubeObject,
    memory: Memory,
  ): Promise<ReconcileResult> {
    const wasRefused = memory.failures.length > 0;
    const { requeueAfter, result } = await reconcile(
      resource,
      memory,
      this.#owned.of(resource, this.#cluster),
      {
        cluster: this.#cluster,
        kind: this.#kind,
        clock: this.#clock,
        tell: tellAbout(resource, this.#cluster),
      },
      (run) => this.#observations.run(run),
    );
    this.#taken.set(key, memory.failures);
    if (result === "conflict") {
      // Soon: `wait` holds it until the cache shows what it was refused for.
      this.#queue.retry(key, priority);
      return "requeue";
    }
    // Both may be asked for: the queue takes the sooner, so a child that is refused does not hold up a canary's steps.
    if (result === "refused") this.#queue.retry(key, priority);
    else this.#queue.forget(key);
    // Status was decided while a child counted as refused; where it is left out now, no write will tell otherwise.
    if (result === "done" && wasRefused) this.#queue.add(key, { priority });
    if (requeueAfter !== undefined) this.#queue.add(key, { priority, after: Math.max(requeueAfter, 1) });
    if (result === "refused") {
      const children = memory.failures.map(({ ref, code }) => `${ref.kind} ${ref.name}: ${code}`);
      this.#log.warn({ controller: this.name, key, children }, "children were refused");
      return "error";
    }
    return requeueAfter === undefined ? "success" : "requeue_after";
  }

  #failed(
    key: string,
    priority: Priority,
    resource: KubeObject | undefined,
    thrown: unknown,
  ): ReconcileResult {
    if (thrown instanceof ClusterError && thrown.code === "NamespaceTerminating") {
      // The resource is still there, and goes too: its children are deleted before it in no order, and each of them
      // would be made again. No retry mends that, and nobody needs to know.
      this.#queue.forget(key);
      this.#log.debug(
        { controller: this.name, key },
        "its namespace is being deleted: nothing is made in it",
      );
      return "success";
    }
    this.#queue.retry(key, priority);
    if (thrown instanceof WritesFenced || this.#stopping) return "requeue";
    const message = messageOf(thrown);
    const attempt = this.#queue.failures(key);
    this.#log.error({ controller: this.name, key, attempt, error: message }, "reconcile failed");
    if (resource !== undefined && !(thrown instanceof ClusterError)) {
      tellAbout(resource, this.#cluster)({ type: "Warning", reason: "ReconcileFailed", message });
    }
    return "error";
  }

  #memoryOf(key: string, resource: KubeObject): Memory {
    const known = this.#memories.get(key);
    if (known !== undefined && known.uid === resource.metadata.uid) return known;
    const expectations = new Expectations(this.#clock);
    const writer = new Writer({
      cluster: this.#cluster,
      expectations,
      mayWrite: this.#mayWrite,
      wrote: (verb) => this.#metrics?.wrote(verb),
    });
    const memory: Memory = {
      uid: resource.metadata.uid,
      expectations,
      writer,
      failures: [],
      sameWordsUntil: 0,
    };
    this.#memories.set(key, memory);
    return memory;
  }

  #refOf(key: string): ObjectRef {
    const slash = key.indexOf("/");
    return { ...this.#kind.kind, namespace: key.slice(0, slash), name: key.slice(slash + 1) };
  }
}
