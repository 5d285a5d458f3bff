import type { Http2Server, ServerHttp2Session, ServerHttp2Stream } from "node:http2";
import type { Socket } from "node:net";
import type { HttpConfig } from "../config/inference.ts";
import { Activity } from "./activity.ts";
import { connectionMaxAge, type Random } from "./connection-age.ts";
import {
  DEFAULT_FINISH_MS,
  DEFAULT_QUIET_MS,
  type DrainOptions,
  type DrainReport,
  lifecycleOf,
  type ServerLifecycle,
} from "./lifecycle.ts";

/** How long a session that comes during a drain is served before it is ended. */
const LATE_SESSION_MS = 500;

/** For clients to read the last GOAWAY, and to close. */
const LAST_GOAWAY_MS = 1000;

interface Session {
  readonly session: ServerHttp2Session;
  readonly timers: Set<NodeJS.Timeout>;
  streams: number;
  /** Set once the session is past its age and was idle then: its next stream is its last. */
  retire: (() => void) | undefined;
}

/**
 * Gives a clear-text `node:http2` server (prior knowledge, as gRPC in a cluster) the connection rules of
 * HttpConfig. Call it before `listen`.
 *
 * GOAWAY carries the number of the last stream that is served (RFC 9113 §6.8): a stream that crosses it on the way was
 * never begun, and its client repeats it elsewhere. gRPC clients do so by themselves, once (gRFC A6), so that a new
 * connection must not be refused soon after. What would refuse no stream can't be had: after any GOAWAY Node ignores
 * new streams, so not the two-step form (2^31-1 first), and after SETTINGS_MAX_CONCURRENT_STREAMS = 0 Node's own
 * client leaves waiting calls hanging when the GOAWAY comes.
 */
export function manageHttp2(
  server: Http2Server,
  config: HttpConfig,
  { now = () => performance.now(), random = Math.random }: { now?: () => number; random?: Random } = {},
): ServerLifecycle {
  server.maxConnections = config.maxConnections;
  const sockets = new Set<Socket>();
  const sessions = new Map<ServerHttp2Session, Session>();
  const activity = new Activity(now);
  let draining = false;

  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    activity.opened();
    socket.once("close", () => {
      sockets.delete(socket);
      activity.closed();
    });
  });

  server.on("session", (session: ServerHttp2Session) => {
    const entry: Session = { session, timers: new Set(), streams: 0, retire: undefined };
    sessions.set(session, entry);
    const after = (milliseconds: number, act: () => void) => {
      const timer = setTimeout(act, milliseconds).unref();
      entry.timers.add(timer);
      return timer;
    };

    const preface = after(config.headersTimeoutSeconds * 1000, () => session.destroy());
    session.once("remoteSettings", () => clearTimeout(preface));

    const goAway = () => {
      session.close();
      after(config.connectionMaxAgeGraceSeconds * 1000, () => session.destroy());
    };
    after(connectionMaxAge(config, random), () => {
      // While a stream is open, a client that sends one at a time (nginx) has no other on its way.
      if (entry.streams > 0) goAway();
      else entry.retire = goAway;
    });

    // It came by an endpoint that is not withdrawn yet, and its client may come back by the same one.
    if (draining) after(LATE_SESSION_MS, () => session.close());

    session.setTimeout(config.keepAliveSeconds * 1000, () => {
      // Without traffic, and yet not idle: a long run, or a stream that waits for its client.
      if (entry.streams === 0) session.close();
    });

    session.once("close", () => {
      for (const timer of entry.timers) clearTimeout(timer);
      sessions.delete(session);
    });
    session.on("error", () => session.destroy());
  });

  server.prependListener("stream", (stream: ServerHttp2Stream) => {
    activity.began();
    const entry =
      stream.session === undefined ? undefined : sessions.get(stream.session as ServerHttp2Session);
    if (entry !== undefined) entry.streams++;
    stream.once("close", () => {
      activity.ended();
      if (entry !== undefined) entry.streams--;
    });
    // Not in this very event: streams of the same read would be reset ahead of the GOAWAY that explains it, and
    // @grpc/grpc-js would repeat them on this connection, where they hang.
    if (entry?.retire !== undefined) setImmediate(entry.retire);
  });

  const stop = () => {
    activity.stop();
    server.close();
    for (const { session } of sessions.values()) session.destroy();
    for (const socket of sockets) socket.destroy();
  };

  const drain = async (options: DrainOptions): Promise<DrainReport> => {
    draining = true;
    const began = now();
    const servedBefore = activity.served - activity.inFlight;
    for (const { session } of sessions.values()) session.close();

    const budgetEnd = began + (options.budgetMilliseconds ?? config.drainSeconds * 1000);
    await activity.quiet(options.quietMilliseconds ?? DEFAULT_QUIET_MS, budgetEnd);

    let idleClosed = 0;
    server.close();
    for (const { session, streams } of sessions.values()) {
      if (streams === 0) idleClosed++;
      session.close();
    }
    await activity.idle(now() + (options.finishMilliseconds ?? DEFAULT_FINISH_MS));
    const cut = activity.inFlight;
    // A socket that is destroyed with a stream unread is reset, and its client loses the GOAWAY that came before.
    if (cut === 0) await activity.quiet(0, now() + LAST_GOAWAY_MS);
    stop();
    return { served: activity.served - servedBefore, idleClosed, cut, milliseconds: now() - began };
  };

  return lifecycleOf(activity, () => sockets.size, drain, stop);
}
