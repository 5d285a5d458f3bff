import type { RouterConfig, RouterReport, RouterTrack } from "../../lib/config/router.ts";
import { NaruError } from "../../lib/errors.ts";
import { BodyBudget, bodyBudgetBytes } from "../../lib/http/body-budget.ts";
import type { ServiceAddresses } from "../../lib/http/service-address.ts";
import { LATENCY_BOUNDS_MS } from "../../lib/telemetry/histogram.ts";
import type { Logger } from "../../lib/telemetry/logger.ts";
import type { Backend } from "./backend.ts";
import { type BackendAddress, Backends } from "./backends.ts";
import { refuseInconsistent } from "./config-rules.ts";
import { TrackCounters } from "./counters.ts";
import { checkGraph } from "./graph/checked.ts";
import { RouterMetrics } from "./metrics.ts";
import { Mirror } from "./mirror/mirror.ts";
import { Routing, type Track } from "./routing.ts";

const FIRST_RETRY_MS = 100;
const LAST_RETRY_MS = 2000;

export type Problem = NonNullable<RouterReport["problem"]>;

/**
 * What the router applies now, and how it comes to apply the next: whole or not at all. A configuration with
 * graphs is applied once its nodes' metadata was fetched and every edge fits; until then, and if it does not,
 * the one before stays in force and the report says what is wrong with the new one.
 */
export class Router {
  readonly backends: Backends;
  readonly metrics: RouterMetrics;
  readonly mirror: Mirror;
  /** What is held of clients' bodies and of nodes' answers; bodies that are passed on as they come are not. */
  readonly bodies = new BodyBudget(bodyBudgetBytes({ maxRequestBytes: 0 }));
  readonly #log: Logger;
  readonly #onApplied: (config: RouterConfig) => void;
  readonly #now: () => number;
  #routing: Routing | undefined;
  #problem: Problem | undefined;
  #pending: { readonly generation: string; readonly controller: AbortController } | undefined;
  /** By code: as many entries as there are reasons to refuse a push. */
  readonly #refusedPushes = new Map<string, number>();
  /** Of what was accepted last. */
  #sequence = 0;
  #inFlight = 0;
  #lastRequest: number | undefined;

  /** `onApplied` hears of each configuration when it comes into force. */
  constructor(
    addresses: ServiceAddresses,
    log: Logger,
    onApplied: (config: RouterConfig) => void = () => undefined,
    now: () => number = () => performance.now(),
  ) {
    this.#log = log;
    this.#onApplied = onApplied;
    this.#now = now;
    this.mirror = new Mirror();
    this.metrics = new RouterMetrics(
      {
        held: () => this.backends.held,
        inFlight: () => this.#inFlight,
        ready: () => this.#routing !== undefined,
      },
      () => this.mirror.bytes,
      this.bodies,
    );
    this.backends = new Backends(addresses, () => this.metrics.heldRefused());
  }

  /** Undefined until a first configuration is applied. */
  get routing(): Routing | undefined {
    return this.#routing;
  }

  get ready(): boolean {
    return this.#routing !== undefined;
  }

  /**
   * Applies a configuration, at once or, where it has graphs, once they fit; `settled` resolves when that is decided
   * for the first time (applied, refused, or a node not there yet, which is tried again without end).
   * One whose generation is applied already changes nothing.
   *
   * @throws NaruError InvalidConfig or InvalidGraph (400) for one that can never be applied; nothing changes then.
   */
  offer(config: RouterConfig): { settled: Promise<void> } {
    refuseInconsistent(config);
    this.#sequence = config.sequence;
    if (config.generation === this.#pending?.generation) return { settled: Promise.resolve() };
    if (config.generation === this.#routing?.config.generation) {
      // Back to what is in force: what was waiting is no longer wanted.
      this.#pending?.controller.abort();
      this.#pending = undefined;
      this.#problem = undefined;
      return { settled: Promise.resolve() };
    }
    this.#pending?.controller.abort();
    const controller = new AbortController();
    this.#pending = { generation: config.generation, controller };
    if (config.stable.graph === undefined && config.canary?.graph === undefined) {
      this.#apply(
        new Routing(
          config,
          this.#simpleTrack(config, config.stable),
          config.canary === undefined ? undefined : this.#simpleTrack(config, config.canary),
        ),
      );
      return { settled: Promise.resolve() };
    }
    const { promise, resolve } = Promise.withResolvers<void>();
    void this.#applyChecked(config, controller.signal, resolve);
    return { settled: promise };
  }

  /** What stands in the way of a configuration that could not be read; the next one that is applied clears it. */
  refuse(error: NaruError): void {
    this.#problem = problemOf(error);
    this.#log.error({ err: error }, "configuration refused");
  }

  /**
   * A push that was refused, by the code of its error. It is counted, and no problem of this router's: anybody may send
   * one, and a problem takes a canary back.
   */
  pushRefused(code: string): void {
    this.#refusedPushes.set(code, (this.#refusedPushes.get(code) ?? 0) + 1);
    this.metrics.pushRefused(code);
  }

  began(): void {
    this.#inFlight += 1;
    this.#lastRequest = this.#now();
  }

  ended(): void {
    this.#inFlight -= 1;
  }

  report(): RouterReport {
    return {
      generation: this.#routing?.config.generation ?? "",
      sequence: this.#sequence,
      ready: this.ready,
      ...(this.#problem === undefined ? {} : { problem: this.#problem }),
      latencyBounds: [...LATENCY_BOUNDS_MS],
      tracks: this.#routing?.tracks().map((track) => track.counters.report()) ?? [],
      held: this.backends.held,
      inFlight: this.#inFlight,
      idleMilliseconds: this.#lastRequest === undefined ? null : this.#now() - this.#lastRequest,
      refusedPushes: Object.fromEntries(this.#refusedPushes),
    };
  }

  async close(): Promise<void> {
    this.#pending?.controller.abort();
    this.mirror.close();
    await this.backends.destroy();
  }

  async #applyChecked(config: RouterConfig, signal: AbortSignal, settled: () => void): Promise<void> {
    let said: string | undefined;
    for (let wait = FIRST_RETRY_MS; ; wait = Math.min(wait * 2, LAST_RETRY_MS)) {
      try {
        const [stable, canary] = await Promise.all([
          this.#track(config, config.stable, signal),
          config.canary === undefined ? undefined : this.#track(config, config.canary, signal),
        ]);
        if (!signal.aborted) this.#apply(new Routing(config, stable, canary));
        settled();
        return;
      } catch (error) {
        settled();
        if (signal.aborted) return;
        const known = error instanceof NaruError ? error : unexpected(error);
        if (said !== known.message) {
          this.#log.warn({ err: known, generation: config.generation }, "configuration not applied yet");
        }
        said = known.message;
        // What only waits for a canary's pods is no problem of a router that serves.
        if (known.code !== "BackendUnavailable" || !this.ready) this.#problem = problemOf(known);
        // An edge that does not fit may fit once the node's pods have rolled on, so that is looked at again too.
        await new Promise((resolve) => setTimeout(resolve, wait).unref());
        if (signal.aborted) return;
      }
    }
  }

  #apply(routing: Routing): void {
    const before = this.#routing?.config.generation;
    this.#routing = routing;
    this.bodies.limit = bodyBudgetBytes(routing.config);
    this.#pending = undefined;
    this.#problem = undefined;
    this.#onApplied(routing.config);
    const inUse = new Set(routing.tracks().flatMap(backendsOf));
    this.backends.retain(inUse, routing.config.requestTimeoutMilliseconds + 1000, (error) =>
      this.#log.warn({ err: error }, "connections of a former backend did not close"),
    );
    this.#log.info(
      {
        generation: routing.config.generation,
        before,
        tracks: routing.tracks().map(({ revision }) => revision),
        canaryWeight: routing.config.canary?.weightPercent,
      },
      "configuration applied",
    );
  }

  async #track(config: RouterConfig, track: RouterTrack, signal: AbortSignal): Promise<Track> {
    if (track.graph === undefined) return this.#simpleTrack(config, track);
    const graph = await checkGraph(track.graph, (address) => this.#backend(config, track, address), signal);
    return { ...this.#counted(track), target: { kind: "graph", graph } };
  }

  #simpleTrack(config: RouterConfig, track: RouterTrack): Track {
    if (track.backend === undefined) throw new TypeError("a track without a graph has a backend");
    const backend = this.#backend(config, track, track.backend);
    return { ...this.#counted(track), target: { kind: "backend", backend } };
  }

  #counted({ revision }: RouterTrack) {
    return { revision, counters: new TrackCounters(revision), metrics: this.metrics.revision(revision) };
  }

  #backend(config: RouterConfig, track: RouterTrack, address: BackendAddress): Backend {
    const owner = `${track === config.canary ? "canary" : "stable"} ${track.revision}`;
    return this.backends.get(address, config.http, owner);
  }
}

function backendsOf(track: Track): Backend[] {
  if (track.target.kind === "backend") return [track.target.backend];
  return track.target.graph.models.flatMap((model) => (model === undefined ? [] : [model.backend]));
}

function problemOf({ code, message, remedy }: NaruError): Problem {
  return { code, message, remedy };
}

function unexpected(error: unknown): NaruError {
  return new NaruError({
    code: "InternalError",
    message: "the configuration could not be checked",
    remedy: "look at the router's log, and report it if it is a fault of Naru",
    cause: error,
  });
}
