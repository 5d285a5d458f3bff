import { messageOf } from "../../lib/errors.ts";
import type { Clock } from "../engine/clock.ts";
import { ClusterError, type ClusterEvent } from "../engine/cluster.ts";
import { rfc3339 } from "../engine/conditions.ts";
import type { Log } from "../engine/log.ts";
import { type ApiClient, type Json, mergePatch } from "./api-client.ts";
import { ApiError } from "./api-error.ts";
import { FIELD_MANAGER } from "./apply.ts";
import { EventSeries, type Series } from "./event-series.ts";
import { jittered } from "./jitter.ts";
import { pause } from "./time-limit.ts";

/** Series that wait to be written. Those beyond are dropped: Events are a courtesy, and never hold anything up. */
const WAITING = 1_000;
const TRIES = 5;
const FIRST_RETRY = 500;
const LONGEST_RETRY = 10_000;
/**
 * Milliseconds that `stop` gives to what still waits: a pod is killed 40 s after its SIGTERM, and what was begun may
 * take 35 of them.
 */
const LAST_WORDS = 3_000;

export interface EventsOptions {
  client: ApiClient;
  clock: Clock;
  log: Log;
  /** Who tells: the process' own name, such as its pod's. */
  instance: string;
}

/**
 * Writes core/v1 Events, one at a time, in the order in which they were told; a series that was told again while it
 * waited is written once. `kubectl describe`, Argo CD and exporters read core/v1's `count` and `lastTimestamp`, which
 * stay empty in what is written through events.k8s.io.
 *
 * Unlike every other write they don't ask whether this process still leads: an Event says what was done while it did,
 * which stays true, and nobody acts upon it. Those that wait when a term ends are therefore written all the same.
 */
export class Events {
  readonly #options: EventsOptions;
  readonly #series = new EventSeries();
  readonly #waiting = new Set<Series>();
  readonly #stopping = new AbortController();
  #closing = false;
  #writing: Promise<void> | undefined;
  #dropped = 0;

  constructor(options: EventsOptions) {
    this.#options = options;
  }

  /** Never throws, and waits for nothing. */
  tell(event: ClusterEvent): void {
    if (this.#closing) return;
    const { clock, log } = this.#options;
    const series = this.#series.take(event, clock.now(), clock.monotonic());
    if (series === undefined) return;
    if (this.#waiting.size >= WAITING && !this.#waiting.has(series)) {
      this.#dropped += 1;
      if (this.#dropped === 1) log.warn({ waiting: WAITING }, "events are dropped: too many wait");
      return;
    }
    this.#waiting.add(series);
    this.#writing ??= this.#write();
  }

  /**
   * Takes no more, and resolves when what waits was written, or three seconds later. What fails meanwhile is not tried
   * again: there is only time for what can be written.
   */
  async stop(): Promise<void> {
    const { clock, log } = this.#options;
    this.#closing = true;
    const writing = this.#writing;
    if (writing !== undefined) {
      const written = new AbortController();
      void writing.then(() => written.abort());
      await pause(clock, LAST_WORDS, written.signal);
    }
    this.#stopping.abort(new Error("the cluster's adapter stops"));
    await writing;
    if (this.#waiting.size > 0) log.warn({ waiting: this.#waiting.size }, "events are dropped: no time left");
  }

  async #write(): Promise<void> {
    // The caller goes on first: nothing of this runs within `tell`.
    await Promise.resolve();
    const { signal } = this.#stopping;
    for (const series of this.#waiting) {
      this.#waiting.delete(series);
      await this.#store(series, signal);
      if (signal.aborted) break;
    }
    this.#writing = undefined;
    if (this.#waiting.size === 0) this.#dropped = 0;
  }

  async #store(series: Series, signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#options;
    for (let failures = 0; ; failures += 1) {
      try {
        await this.#send(series, signal);
        return;
      } catch (thrown) {
        const unavailable = thrown instanceof ClusterError && thrown.code === "Unavailable";
        if (signal.aborted) return;
        if (!unavailable || this.#closing || failures + 1 >= TRIES) {
          const { about, reason } = series.event;
          log.debug(
            { kind: about.kind, name: about.name, reason, error: messageOf(thrown) },
            "event dropped",
          );
          return;
        }
        await pause(clock, jittered(failures, FIRST_RETRY, LONGEST_RETRY), signal);
      }
    }
  }

  async #send(series: Series, signal: AbortSignal): Promise<void> {
    const { client } = this.#options;
    const namespace = series.event.about.namespace || "default";
    const path = `/api/v1/namespaces/${encodeURIComponent(namespace)}/events`;
    const query = { fieldManager: FIELD_MANAGER };
    if (series.stored) {
      const body = { count: series.count, lastTimestamp: rfc3339(series.last) };
      try {
        const options = { body, contentType: mergePatch, query, signal };
        await client.request("PATCH", `${path}/${series.name}`, options);
        return;
      } catch (thrown) {
        // API servers forget Events after an hour: it begins anew.
        if (!(thrown instanceof ApiError) || thrown.status !== 404) throw thrown;
      }
    }
    try {
      await client.request("POST", path, { body: this.#toEvent(series, namespace), query, signal });
    } catch (thrown) {
      // An earlier try got through, and its answer was lost.
      if (!(thrown instanceof ApiError) || thrown.reason !== "AlreadyExists") throw thrown;
    }
    series.stored = true;
  }

  #toEvent(series: Series, namespace: string): Json {
    const { about, uid, type, reason } = series.event;
    const { apiVersion, kind, name } = about;
    return {
      apiVersion: "v1",
      kind: "Event",
      metadata: { name: series.name, namespace },
      involvedObject: { apiVersion, kind, name, namespace, ...(uid === undefined ? {} : { uid }) },
      type,
      reason,
      message: series.message,
      count: series.count,
      firstTimestamp: rfc3339(series.first),
      lastTimestamp: rfc3339(series.last),
      source: { component: FIELD_MANAGER },
      reportingComponent: FIELD_MANAGER,
      reportingInstance: this.#options.instance,
    };
  }
}
