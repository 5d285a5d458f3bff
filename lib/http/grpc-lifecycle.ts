import { createServer, type Server, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { HttpConfig } from "../config/inference.ts";
import { Activity } from "./activity.ts";
import {
  DEFAULT_FINISH_MS,
  DEFAULT_QUIET_MS,
  type DrainOptions,
  type DrainReport,
  type ServerLifecycle,
} from "./lifecycle.ts";

/** What is used of a `@grpc/grpc-js` Server; its package is imported where the services are. */
export interface InjectableGrpcServer<Credentials> {
  createConnectionInjector(credentials: Credentials): {
    injectConnection(connection: Duplex): void;
    drain(graceMilliseconds: number): void;
  };
  forceShutdown(): void;
}

/** Bytes of HTTP/2's connection preface (RFC 9113 §3.4); who sent fewer has not begun to speak it. */
const PREFACE_BYTES = 24;
/** How often connections that came during a drain are sent their GOAWAY. */
const GOAWAY_INTERVAL_MS = 250;

/** Options of a `@grpc/grpc-js` Server. Its jitter is ten percent either way and can't be set. */
export function grpcServerOptions(config: HttpConfig) {
  return {
    "grpc.max_connection_age_ms": config.connectionMaxAgeSeconds * 1000,
    "grpc.max_connection_age_grace_ms": config.connectionMaxAgeGraceSeconds * 1000,
    "grpc.max_connection_idle_ms": config.keepAliveSeconds * 1000,
  } as const;
}

/**
 * A listener for a `@grpc/grpc-js` Server that drains as Naru's other servers do. grpc-js can stop listening, and it
 * can send GOAWAY, but its `tryShutdown` does both at once, which refuses whoever still comes by an endpoint that
 * was not withdrawn yet. So the listener is ours and hands each connection over.
 *
 * `requestsInFlight` is the caller's own count: grpc-js shows none.
 */
export function manageGrpc<Credentials>(
  server: InjectableGrpcServer<Credentials>,
  credentials: Credentials,
  config: HttpConfig,
  requestsInFlight: () => number,
  now: () => number = () => performance.now(),
): ServerLifecycle & { readonly listener: Server } {
  const injector = server.createConnectionInjector(credentials);
  const sockets = new Set<Socket>();
  const activity = new Activity(now);
  let draining: Promise<DrainReport> | undefined;

  const listener = createServer({ noDelay: true }, (socket) => {
    sockets.add(socket);
    activity.opened();
    const preface = setTimeout(() => {
      if (socket.bytesRead < PREFACE_BYTES) socket.destroy();
    }, config.headersTimeoutSeconds * 1000).unref();
    socket.on("error", () => socket.destroy());
    socket.once("close", () => {
      clearTimeout(preface);
      sockets.delete(socket);
      activity.closed();
    });
    injector.injectConnection(socket);
  });
  listener.maxConnections = config.maxConnections;

  const stop = () => {
    activity.stop();
    listener.close();
    server.forceShutdown();
    for (const socket of sockets) socket.destroy();
  };

  const drain = async (options: DrainOptions): Promise<DrainReport> => {
    const began = now();
    const budget = options.budgetMilliseconds ?? config.drainSeconds * 1000;
    const finish = options.finishMilliseconds ?? DEFAULT_FINISH_MS;
    const quiet = options.quietMilliseconds ?? DEFAULT_QUIET_MS;
    let served = requestsInFlight();
    const seen = new Set(sockets);

    // A session that got its GOAWAY ends with its streams. Those that come late are told at the next interval;
    // a stream that crosses it on the way is refused as never begun, and gRPC clients repeat it (gRFC A6).
    const goAway = () => {
      for (const socket of sockets) {
        if (seen.has(socket)) continue;
        seen.add(socket);
        served++;
      }
      injector.drain(Math.max(0, began + budget + finish - now()));
    };
    goAway();
    const interval = setInterval(goAway, GOAWAY_INTERVAL_MS);
    await activity.quiet(quiet, began + budget);
    listener.close();
    goAway();
    await activity.quiet(0, now() + finish);
    clearInterval(interval);
    const cut = requestsInFlight();
    stop();
    return { served, idleClosed: 0, cut, milliseconds: now() - began };
  };

  return {
    listener,
    get draining() {
      return draining !== undefined;
    },
    get connections() {
      return sockets.size;
    },
    get inFlight() {
      return requestsInFlight();
    },
    drain(options = {}) {
      draining ??= drain(options);
      return draining;
    },
    stop,
  };
}
