import { createServer, type Server } from "node:http";
import type { HttpConfig } from "../../lib/config/inference.ts";
import { httpServerOptions } from "../../lib/http/server-options.ts";
import type { Metrics } from "../../lib/telemetry/metrics.ts";

export interface AdminOptions {
  readonly http: HttpConfig;
  readonly metrics: Metrics;
  /** Every model that should be loaded is. */
  readonly isStarted: () => boolean;
  /** The same, and the server does not drain. */
  readonly isReady: () => boolean;
}

/** The server for probes and scrapes, apart from the one for clients. `/livez` is 200 as long as the event loop turns. */
export function createAdminServer({ http, metrics, isStarted, isReady }: AdminOptions): Server {
  const health: Readonly<Record<string, () => boolean>> = {
    "/livez": () => true,
    "/v2/health/live": () => true,
    "/readyz": isReady,
    "/v2/health/ready": isReady,
    "/startupz": isStarted,
  };
  return createServer(httpServerOptions(http), (request, response) => {
    const path = request.url?.split("?", 1)[0] ?? "";
    if (request.method !== "GET" && request.method !== "HEAD") {
      response.writeHead(405).end();
      return;
    }
    if (path === "/metrics") {
      metrics.expose().then(
        ({ contentType, body }) => response.writeHead(200, { "content-type": contentType }).end(body),
        () => response.writeHead(500).end(),
      );
      return;
    }
    const check = Object.hasOwn(health, path) ? health[path] : undefined;
    response.writeHead(check === undefined ? 404 : check() ? 200 : 503).end();
  });
}
