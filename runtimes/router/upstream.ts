import { buildConnector, type Dispatcher, Pool } from "undici";
import type { HttpConfig } from "../../lib/config/inference.ts";
import { connectionMaxAge } from "../../lib/http/connection-age.ts";
import type { ServiceAddresses } from "../../lib/http/service-address.ts";

/** A Service answers within a cluster in microseconds; one that doesn't is better tried again elsewhere. */
const CONNECT_TIMEOUT_MS = 2000;

/**
 * Idle time after which a connection is given up where the server announces none by `Keep-Alive: timeout=`.
 * Below what any server in use keeps (uvicorn, Node: 5 s). Where it is announced, undici stays 2 s below it.
 */
const UNANNOUNCED_KEEP_ALIVE_MS = 4000;

/** As many connections to one backend at most; requests beyond wait for one. */
const MAX_CONNECTIONS = 1024;

/**
 * Pooled HTTP/1.1 connections to one backend. undici's low-level dispatch costs half the CPU a request of
 * `node:http`'s client with an Agent (measured: 60 µs against 109, small bodies, proxy and all).
 *
 * Connections have a maximum age: a Service balances connections, not requests, so pods that came later are
 * reached only by new ones.
 */
export class Upstream {
  readonly url: string;
  readonly #pool: Pool;

  constructor(url: string, http: HttpConfig, addresses: ServiceAddresses) {
    this.url = url;
    const connect = buildConnector({ timeout: CONNECT_TIMEOUT_MS, allowH2: false });
    const origin = new URL(url).origin;
    this.#pool = new Pool(origin, {
      connections: MAX_CONNECTIONS,
      keepAliveTimeout: UNANNOUNCED_KEEP_ALIVE_MS,
      clientTtl: connectionMaxAge(http, Math.random),
      // The request's own deadline governs, and it is shorter.
      headersTimeout: 0,
      bodyTimeout: 0,
      allowH2: false,
      connect: (options, callback) => {
        // Asked for each connection: in standalone a Service's address changes with its pods.
        const { hostname, port } = new URL(addresses.resolve(origin));
        connect({ ...options, hostname, port }, callback);
      },
    });
  }

  dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): void {
    this.#pool.dispatch(options, handler);
  }

  /** Ends after the requests under way; new ones are refused. */
  async close(): Promise<void> {
    await this.#pool.close();
  }

  async destroy(): Promise<void> {
    await this.#pool.destroy();
  }
}
