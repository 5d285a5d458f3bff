import { type ClientHttp2Session, connect, constants } from "node:http2";
import type { HttpConfig } from "../../../lib/config/inference.ts";
import { connectionMaxAge } from "../../../lib/http/connection-age.ts";
import type { ServiceAddresses } from "../../../lib/http/service-address.ts";

/** Streams on each session before another is opened: a Service balances connections, so one would mean one pod. */
const STREAMS_BEFORE_GROWTH = 4;
const MAX_SESSIONS = 16;
/** A peer that vanished without closing is noticed within the two together. */
const PING_INTERVAL_MS = 10_000;
const PING_TIMEOUT_MS = 5_000;

/** One HTTP/2 connection, as the pool counts it. */
export interface PooledSession {
  readonly session: ClientHttp2Session;
  streams: number;
  /** False until the connection stands: a stream that failed before was never sent. */
  connected: boolean;
  /** Told to go, or too old: takes no new stream. */
  retired: boolean;
}

/**
 * Pooled HTTP/2 sessions to one backend. A session takes no new stream once the backend sent GOAWAY or it passed
 * its maximum age; it closes with its last stream, and the next stream opens another.
 */
export class GrpcUpstream {
  readonly url: string;
  readonly #http: HttpConfig;
  readonly #addresses: ServiceAddresses;
  readonly #sessions = new Set<PooledSession>();

  constructor(url: string, http: HttpConfig, addresses: ServiceAddresses) {
    this.url = url;
    this.#http = http;
    this.#addresses = addresses;
  }

  /** The session for the next stream: the one with the fewest, or a new one. */
  session(): PooledSession {
    let least: PooledSession | undefined;
    for (const pooled of this.#sessions) {
      if (pooled.retired || pooled.session.closed || pooled.session.destroyed) continue;
      if (least === undefined || pooled.streams < least.streams) least = pooled;
    }
    if (least === undefined) return this.#open();
    const room = least.session.remoteSettings?.maxConcurrentStreams ?? Number.POSITIVE_INFINITY;
    const busy = least.streams >= Math.min(STREAMS_BEFORE_GROWTH, room);
    return busy && this.#sessions.size < MAX_SESSIONS ? this.#open() : least;
  }

  close(): void {
    for (const pooled of this.#sessions) this.#retire(pooled);
  }

  destroy(): void {
    for (const { session } of this.#sessions) session.destroy();
  }

  #open(): PooledSession {
    const session = connect(this.#addresses.resolve(this.url), { settings: { enablePush: false } });
    const pooled: PooledSession = { session, streams: 0, connected: false, retired: false };
    this.#sessions.add(pooled);
    const age = setTimeout(() => this.#retire(pooled), connectionMaxAge(this.#http, Math.random)).unref();
    const ping = setInterval(() => this.#ping(pooled), PING_INTERVAL_MS).unref();
    session.once("connect", () => {
      pooled.connected = true;
    });
    session.once("goaway", () => {
      pooled.retired = true;
    });
    // Each stream hears of it as well; here it only ends the session.
    session.on("error", () => {
      pooled.retired = true;
    });
    session.once("close", () => {
      clearTimeout(age);
      clearInterval(ping);
      this.#sessions.delete(pooled);
    });
    // An idle session keeps no process alive; a stream on it does.
    session.unref();
    return pooled;
  }

  #retire(pooled: PooledSession): void {
    pooled.retired = true;
    pooled.session.close();
  }

  #ping({ session, streams }: PooledSession): void {
    if (streams === 0 || session.closed || session.destroyed) return;
    const lost = setTimeout(
      () => session.destroy(new Error("the backend answers no ping"), constants.NGHTTP2_CANCEL),
      PING_TIMEOUT_MS,
    ).unref();
    session.ping(() => clearTimeout(lost));
  }
}
