import { Counter, collectDefaultMetrics, Gauge, Registry } from "prom-client";
import { type EngineMetrics, engineMetrics } from "../engine/metrics.ts";
import type { Handler } from "./http.ts";

/** The operator's metrics, under the names of controller-runtime and client-go. */
export interface ManagerMetrics {
  readonly engine: EngineMetrics;
  leads(is: boolean): void;
  /** One answer of the API server; a `code` of 0: there was none. */
  answered(method: string, code: number): void;
  readonly scrape: Handler;
}

export function managerMetrics(version: string, lease: string, host: string): ManagerMetrics {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });
  new Gauge({
    name: "naru_build_info",
    help: "The release that runs",
    labelNames: ["version"],
    registers,
  }).set({ version }, 1);
  const master = new Gauge({
    name: "leader_election_master_status",
    help: "1 on the replica that leads, 0 on the others",
    labelNames: ["name"],
    registers,
  });
  master.set({ name: lease }, 0);
  const requests = new Counter({
    name: "rest_client_requests_total",
    help: "Requests to the API server, by method and status code",
    labelNames: ["code", "method", "host"],
    registers,
  });
  return {
    engine: engineMetrics(registry),
    leads: (is) => master.set({ name: lease }, is ? 1 : 0),
    // client-go's word for a request without an answer.
    answered: (method, code) => requests.inc({ code: code === 0 ? "<error>" : code, method, host }),
    async scrape(response) {
      const body = await registry.metrics();
      response.writeHead(200, { "content-type": registry.contentType }).end(body);
    },
  };
}
