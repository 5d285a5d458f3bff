import type { IncomingMessage, Server, ServerResponse } from "node:http";
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
import { applyTimeouts } from "./server-options.ts";

interface Connection {
  readonly socket: Socket;
  readonly ageTimer: NodeJS.Timeout;
  aged: boolean;
  /** The last request's answer; with pipelining, only the last may close. */
  response: ServerResponse | undefined;
}

/**
 * Gives a `node:http` server (fastify's own is one) the connection rules of HttpConfig. Call it before
 * `listen`. The time-outs are set here; create the server with `httpServerOptions` (or `fastifyServerOptions`)
 * as well, so that late requests are looked for often enough.
 *
 * A connection past its age is told so on its next answer. HTTP/1.1 has no other way to say it: cutting an
 * idle connection races with the request that the peer may be sending, so an aged idle one is left to
 * keep-alive, and one in use is never cut for its age.
 *
 * A client that closes its sending side while it waits has left (docs/adr/0009-half-closed-clients.md).
 */
export function manageHttp1(
  server: Server,
  config: HttpConfig,
  { now = () => performance.now(), random = Math.random }: { now?: () => number; random?: Random } = {},
): ServerLifecycle {
  applyTimeouts(server, config);
  const connections = new Map<Socket, Connection>();
  const activity = new Activity(now);
  let draining = false;

  server.on("connection", (socket: Socket) => {
    const connection: Connection = {
      socket,
      aged: false,
      response: undefined,
      ageTimer: setTimeout(
        () => {
          connection.aged = true;
          announceClose(connection.response);
        },
        connectionMaxAge(config, random),
      ).unref(),
    };
    connections.set(socket, connection);
    activity.opened();
    socket.once("close", () => {
      clearTimeout(connection.ageTimer);
      connections.delete(socket);
      activity.closed();
    });
  });

  server.prependListener("request", (request: IncomingMessage, response: ServerResponse) => {
    activity.began();
    response.once("close", () => activity.ended());
    const connection = connections.get(request.socket);
    if (connection === undefined) return;
    connection.response = response;
    if (connection.aged || draining) announceClose(response);
  });

  const stop = () => {
    activity.stop();
    server.close();
    server.closeAllConnections();
    for (const { socket } of connections.values()) socket.destroy();
  };

  const drain = async (options: DrainOptions): Promise<DrainReport> => {
    draining = true;
    const began = now();
    const servedBefore = activity.served - activity.inFlight;
    for (const { response } of connections.values()) announceClose(response);

    const budgetEnd = began + (options.budgetMilliseconds ?? config.drainSeconds * 1000);
    await activity.quiet(options.quietMilliseconds ?? DEFAULT_QUIET_MS, budgetEnd);

    const idleClosed = connections.size - activity.inFlight;
    // Closes the idle connections too; those in flight end with their answers.
    server.close();
    await activity.idle(now() + (options.finishMilliseconds ?? DEFAULT_FINISH_MS));
    const cut = activity.inFlight;
    stop();
    return {
      served: activity.served - servedBefore,
      idleClosed: Math.max(0, idleClosed),
      cut,
      milliseconds: now() - began,
    };
  };

  return lifecycleOf(activity, () => connections.size, drain, stop);
}

/** An answer whose head has gone can't be changed: the next one on its connection will say it. */
function announceClose(response: ServerResponse | undefined): void {
  if (response === undefined || response.headersSent) return;
  response.setHeader("connection", "close");
}
