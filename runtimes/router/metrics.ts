import type { BodyBudget } from "../../lib/http/body-budget.ts";
import { registerBodyMetrics } from "../../lib/http/body-metrics.ts";
import { Metrics } from "../../lib/telemetry/metrics.ts";

/** Seconds; around what a small model and a large one take. */
const BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

/** Revisions whose series are kept: the present ones and a few that a dashboard may still show. */
const MAX_REVISIONS = 8;

/** What became of a request to be mirrored. */
export type MirrorOutcome = "same" | "diverged" | "failed" | "dropped";

/** What the gauges read when they are scraped. */
export interface RouterGauges {
  held(): number;
  inFlight(): number;
  ready(): boolean;
}

/** The router's Prometheus metrics. Children are kept by revision and code, so that a request looks up no labels. */
export class RouterMetrics {
  readonly #metrics = new Metrics();
  readonly #requests;
  readonly #latency;
  readonly #mirrored;
  readonly #retries;
  readonly #heldRefused;
  readonly #pushesRefused;
  readonly #mirrorBytes;
  readonly #revisions = new Map<string, RevisionMetrics>();

  constructor(gauges: RouterGauges, mirrorBytes: () => number, bodies: BodyBudget) {
    const metrics = this.#metrics;
    metrics.collectProcess();
    registerBodyMetrics(metrics, bodies);
    this.#requests = metrics.counter(
      "naru_router_requests_total",
      "Requests by the revision that took them and the status that the client got (499: the client left; gRPC: grpc_N).",
      ["revision", "code"],
    );
    this.#latency = metrics.histogram(
      "naru_router_request_duration_seconds",
      "Time from a request's forwarding to the end of its answer.",
      BUCKETS,
      ["revision"],
    );
    this.#mirrored = metrics.counter(
      "naru_router_mirrored_total",
      "Requests copied to the canary, by what the comparison with stable's answer said.",
      ["revision", "outcome"],
    );
    this.#retries = metrics.counter(
      "naru_router_retries_total",
      "Requests sent to a backend a second time, since the first connection failed before any answer.",
      ["revision"],
    );
    this.#heldRefused = metrics.counter(
      "naru_router_held_refused_total",
      "Requests answered 503 since as many as may be held were, or none became ready in time.",
    );
    this.#pushesRefused = metrics.counter(
      "naru_router_pushes_refused_total",
      "Configurations that were pushed and refused, by code; one that is not the operator's means that somebody else sends them.",
      ["code"],
    );
    metrics.gauge("naru_router_held", "Requests held for want of a ready backend.", [], (gauge) =>
      gauge.set(gauges.held()),
    );
    metrics.gauge("naru_router_in_flight", "Requests in flight.", [], (gauge) =>
      gauge.set(gauges.inFlight()),
    );
    metrics.gauge("naru_router_ready", "1 while a configuration is applied.", [], (gauge) =>
      gauge.set(gauges.ready() ? 1 : 0),
    );
    this.#mirrorBytes = mirrorBytes;
    metrics.gauge("naru_router_mirror_bytes", "Bytes of copies that wait or are compared.", [], (gauge) =>
      gauge.set(this.#mirrorBytes()),
    );
  }

  revision(name: string): RevisionMetrics {
    const known = this.#revisions.get(name);
    if (known !== undefined) return known;
    if (this.#revisions.size >= MAX_REVISIONS) this.#forgetOldest();
    const codes = new Map<string, { inc(): void }>();
    const latency = this.#latency.labels(name);
    const made: RevisionMetrics = {
      ended: (code, milliseconds) => {
        let counter = codes.get(code);
        if (counter === undefined) {
          counter = this.#requests.labels(name, code);
          codes.set(code, counter);
        }
        counter.inc();
        latency.observe(milliseconds / 1000);
      },
      retried: () => this.#retries.labels(name).inc(),
      mirrored: (outcome) => this.#mirrored.labels(name, outcome).inc(),
      forget: () => {
        for (const code of codes.keys()) this.#requests.remove(name, code);
        this.#latency.remove(name);
        this.#retries.remove(name);
        for (const outcome of ["same", "diverged", "failed", "dropped"]) this.#mirrored.remove(name, outcome);
      },
    };
    this.#revisions.set(name, made);
    return made;
  }

  pushRefused(code: string): void {
    this.#pushesRefused.labels(code).inc();
  }

  heldRefused(): void {
    this.#heldRefused.inc();
  }

  expose(): Promise<{ contentType: string; body: string }> {
    return this.#metrics.expose();
  }

  #forgetOldest(): void {
    for (const [name, oldest] of this.#revisions) {
      oldest.forget();
      this.#revisions.delete(name);
      return;
    }
  }
}

export interface RevisionMetrics {
  ended(code: string, milliseconds: number): void;
  retried(): void;
  mirrored(outcome: MirrorOutcome): void;
  forget(): void;
}
