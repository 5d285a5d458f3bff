import type { Server, ServerOptions } from "node:http";
import type { HttpConfig } from "../config/inference.ts";

/** The time-outs of a `node:http` server, in milliseconds, as they follow from HttpConfig. */
export interface HttpTimeouts {
  keepAliveTimeout: number;
  keepAliveTimeoutBuffer: number;
  headersTimeout: number;
  requestTimeout: number;
  connectionsCheckingInterval: number;
}

/**
 * Node closes an idle connection only this long after `keepAliveTimeout`, which is what it announces in its
 * `Keep-Alive` header: a peer that believes the header never meets a closed connection.
 */
const KEEP_ALIVE_MARGIN_MS = 1000;

/** Pure. `requestTimeout` is for the whole request, so that `headersTimeout` can never exceed it (Node would throw). */
export function httpTimeouts(config: HttpConfig): HttpTimeouts {
  const headersTimeout = config.headersTimeoutSeconds * 1000;
  const requestTimeout = headersTimeout + config.bodyTimeoutSeconds * 1000;
  return {
    keepAliveTimeout: config.keepAliveSeconds * 1000,
    keepAliveTimeoutBuffer: KEEP_ALIVE_MARGIN_MS,
    headersTimeout,
    requestTimeout,
    // Node looks for late requests at this interval only, every 30 s by default.
    connectionsCheckingInterval: Math.min(1000, Math.max(50, headersTimeout / 10)),
  };
}

/** Options of `http.createServer`; the checking interval can be set nowhere else. */
export function httpServerOptions(config: HttpConfig): ServerOptions & HttpTimeouts {
  return { ...httpTimeouts(config), keepAlive: true, noDelay: true };
}

/**
 * Options of `fastify()`. Fastify sets its own time-outs over those of the server that it creates, and by
 * default answers 503 while it closes, which in a drain would be a lost request.
 */
export function fastifyServerOptions(config: HttpConfig) {
  const { keepAliveTimeout, requestTimeout } = httpTimeouts(config);
  return {
    http: httpServerOptions(config),
    keepAliveTimeout,
    requestTimeout,
    connectionTimeout: 0,
    return503OnClosing: false,
    forceCloseConnections: false,
  } as const;
}

/** Sets what can still be set on a server that exists, whoever created it. */
export function applyTimeouts(server: Server, config: HttpConfig): void {
  const timeouts = httpTimeouts(config);
  server.requestTimeout = timeouts.requestTimeout;
  server.headersTimeout = timeouts.headersTimeout;
  server.keepAliveTimeout = timeouts.keepAliveTimeout;
  server.keepAliveTimeoutBuffer = timeouts.keepAliveTimeoutBuffer;
  server.maxConnections = config.maxConnections;
}
