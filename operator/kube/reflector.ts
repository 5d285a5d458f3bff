import { messageOf } from "../../lib/errors.ts";
import type { Clock } from "../engine/clock.ts";
import { ClusterError } from "../engine/cluster.ts";
import type { Log } from "../engine/log.ts";
import type { KubeObject, ObjectKind } from "../engine/objects.ts";
import type { ApiClient, Json } from "./api-client.ts";
import { ApiError, errorFromAnswer } from "./api-error.ts";
import { jittered } from "./jitter.ts";
import { pause } from "./time-limit.ts";

/** Where a reflector puts what it sees. Each call is of one moment on the server, in order. */
export interface Sink {
  /** The object is there, as it is now. It may have been told already. */
  put(object: KubeObject): void;
  /** The object is gone; this is its last state. */
  remove(object: KubeObject): void;
  /** A listing is complete: whatever was put before and is not among these (`listed`) went unseen. */
  retain(listed: ReadonlySet<string>): void;
  /** What the last try came to. `listed` also after each listing. */
  state(state: ReflectorState): void;
}

/**
 * `unreachable` keeps what was seen; `forbidden` and `absent` say that the kind can't be read now. `failing`: the server
 * answers, and was never able to list it (an add-on whose conversion webhook is gone).
 */
export type ReflectorState = "listed" | "unreachable" | "failing" | "forbidden" | "absent";

export interface ReflectorOptions {
  client: ApiClient;
  /** The collection's path. */
  path: string;
  kind: ObjectKind;
  /** Filters on the server: nothing else is seen. */
  labelSelector?: string;
  /** Only metadata is asked for. */
  metadataOnly?: boolean;
  sink: Sink;
  clock: Clock;
  log: Log;
  timing?: Partial<ReflectorTiming>;
}

/** Milliseconds, but for the counts. */
export interface ReflectorTiming {
  /** Objects in one answer. */
  readonly pageSize: number;
  /**
   * So many refusals (403, 404) in a row are believed of what could be read before: an API server that starts refuses
   * for some moments what it doesn't know yet, and what it holds must not look deleted for that.
   */
  readonly believedRefusals: number;
  readonly firstRetry: number;
  readonly longestRetry: number;
  /** A watch is ended by the server after a time between this and its double, so that watches spread over servers. */
  readonly watchFor: number;
  /** API servers send a bookmark every one to two minutes: no byte for longer means a connection cut without a word. */
  readonly silence: number;
  /** A watch that lived as long has recovered, though nothing happened. */
  readonly healthyAfter: number;
}

const TIMING: ReflectorTiming = {
  pageSize: 500,
  believedRefusals: 6,
  firstRetry: 200,
  longestRetry: 10_000,
  watchFor: 300_000,
  silence: 180_000,
  healthyAfter: 5_000,
};

/**
 * Keeps a copy of a collection true: lists it in pages, then watches from there, for as long as it runs. Whatever goes
 * wrong is tried again with backoff; a watch goes on from the last version that was seen, bookmarks included, so that
 * nothing is listed twice unless the server no longer knows that version (410).
 */
export class Reflector {
  readonly #options: ReflectorOptions;
  readonly #timing: ReflectorTiming;
  readonly #accept: { list: string; watch: string };
  /** Where the next watch begins; undefined: list first. */
  #version: string | undefined;
  /** Whether what the sink holds is true of some moment. */
  #listed = false;
  #failures = 0;
  /** How many of the last failures were refusals, in a row. */
  #refusals = 0;
  /** How many of them were the server's own (500), in a row. */
  #serverErrors = 0;
  #heardAt: number;

  constructor(options: ReflectorOptions) {
    this.#options = options;
    this.#heardAt = options.clock.monotonic();
    this.#timing = { ...TIMING, ...options.timing };
    const only = (as: string): string =>
      options.metadataOnly === true ? `application/json;as=${as};g=meta.k8s.io;v=v1` : "application/json";
    this.#accept = { list: only("PartialObjectMetadataList"), watch: only("PartialObjectMetadata") };
  }

  /** Milliseconds since it last heard something or tried: beyond `silence` and a try's own time, it is stuck. */
  get idle(): number {
    return this.#options.clock.monotonic() - this.#heardAt;
  }

  /** Resolves soon after `signal` aborts, also in backoff; never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      this.#heard();
      try {
        if (this.#version === undefined) await this.#list(signal);
        await this.#watch(signal);
      } catch (thrown) {
        if (signal.aborted) return;
        await pause(this.#options.clock, this.#onFailure(thrown), signal);
      }
    }
  }

  async #list(signal: AbortSignal): Promise<void> {
    const { client, path, labelSelector, sink } = this.#options;
    const listed = new Set<string>();
    let page: ListPage | undefined;
    do {
      page = (await client.request("GET", path, {
        accept: this.#accept.list,
        query: { limit: this.#timing.pageSize, labelSelector, continue: page?.metadata.continue },
        signal,
      })) as unknown as ListPage;
      this.#heard();
      for (const item of page.items ?? []) {
        const object = this.#toObject(item);
        listed.add(objectKey(object));
        sink.put(object);
      }
    } while (page.metadata.continue);
    sink.retain(listed);
    this.#version = page.metadata.resourceVersion;
    this.#listed = true;
    sink.state("listed");
  }

  /** Returns when the server ends the watch as was agreed; throws when anything else does. */
  async #watch(signal: AbortSignal): Promise<void> {
    const { client, clock, path, labelSelector } = this.#options;
    const from = clock.monotonic();
    const timeoutSeconds = Math.ceil((this.#timing.watchFor * (1 + Math.random())) / 1000);
    const query = {
      watch: true,
      resourceVersion: this.#version,
      allowWatchBookmarks: true,
      timeoutSeconds,
      labelSelector,
    };
    const { silence } = this.#timing;
    let events = 0;
    for await (const line of client.stream(path, { accept: this.#accept.watch, query, signal, silence })) {
      this.#heard();
      this.#take(line as unknown as WatchLine);
      events += 1;
      this.#recovered();
    }
    signal.throwIfAborted();
    if (clock.monotonic() - from >= this.#timing.healthyAfter) this.#recovered();
    else if (events === 0) throw new ClusterError("Unavailable", `watch of ${path}: it ended at once`);
  }

  #recovered(): void {
    this.#failures = 0;
    this.#refusals = 0;
    this.#serverErrors = 0;
  }

  #heard(): void {
    this.#heardAt = this.#options.clock.monotonic();
  }

  #take({ type, object }: WatchLine): void {
    if (type === "ERROR") {
      const status = object as { code?: number };
      throw errorFromAnswer(`watch of ${this.#options.path}`, status.code ?? 500, JSON.stringify(object));
    }
    const { resourceVersion } = (object as unknown as KubeObject).metadata;
    if (type === "ADDED" || type === "MODIFIED") this.#options.sink.put(this.#toObject(object));
    else if (type === "DELETED") this.#options.sink.remove(this.#toObject(object));
    else if (type !== "BOOKMARK") return;
    if (resourceVersion !== undefined) this.#version = resourceVersion;
  }

  /** Milliseconds to wait. */
  #onFailure(thrown: unknown): number {
    const { kind, log, path, sink } = this.#options;
    const { firstRetry, longestRetry, believedRefusals } = this.#timing;
    const failures = this.#failures;
    this.#failures += 1;
    const fields = { kind: kind.kind, path, error: messageOf(thrown), failures: this.#failures };
    const code = thrown instanceof ClusterError ? thrown.code : undefined;
    this.#refusals = code === "Forbidden" || code === "NotFound" ? this.#refusals + 1 : 0;
    // 503 and the like are of a server that starts, or has too much to do.
    this.#serverErrors = thrown instanceof ApiError && thrown.status === 500 ? this.#serverErrors + 1 : 0;
    if (thrown instanceof ApiError && thrown.expired) {
      this.#version = undefined;
      log.info(fields, "the server knows the version no more: listing again");
    } else if (this.#refusals === 0) {
      log.warn(fields, "listing or watching failed");
      const failing = !this.#listed && this.#serverErrors >= believedRefusals;
      sink.state(failing ? "failing" : "unreachable");
    } else if (!this.#listed || this.#refusals >= believedRefusals) {
      if (this.#listed || failures === 0) log.warn(fields, "the kind can't be read");
      this.#listed = false;
      this.#version = undefined;
      sink.state(code === "Forbidden" ? "forbidden" : "absent");
    }
    const asked = thrown instanceof ApiError ? (thrown.retryAfter ?? 0) : 0;
    return Math.max(jittered(failures, firstRetry, longestRetry), Math.min(asked, longestRetry));
  }

  /** Items of typed lists don't carry their kind, and metadata alone carries another. */
  #toObject(item: Json): KubeObject {
    const { apiVersion, kind } = this.#options.kind;
    return { ...item, apiVersion, kind } as KubeObject;
  }
}

/** Names an object within its kind. */
export function objectKey(object: KubeObject): string {
  return `${object.metadata.namespace ?? ""}/${object.metadata.name}`;
}

interface ListPage {
  readonly metadata: { readonly resourceVersion?: string; readonly continue?: string };
  readonly items?: readonly Json[];
}

interface WatchLine {
  readonly type: string;
  readonly object: Json;
}
