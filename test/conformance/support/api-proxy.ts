import { once } from "node:events";
import { createServer, type IncomingMessage, request, type ServerResponse } from "node:http";
import { request as secureRequest } from "node:https";
import type { AddressInfo } from "node:net";
import type { Connection } from "../../../operator/kube/connection.ts";

/** What is done with a request instead of passing it on; undefined: it is passed on. */
export type Fault =
  | { answer: number; headers?: Record<string, string>; body?: string }
  /** Milliseconds before it is passed on. */
  | { delay: number }
  /** The connection is cut after so many bytes of the answer's body. */
  | { cutAfter: number }
  /** Nothing is answered, and nothing cut. */
  | { swallow: true };

export interface Seen {
  readonly method: string;
  /** Path and query. */
  readonly url: string;
}

/**
 * Stands between the adapter and an API server and does to it what networks and busy servers do. It notes every
 * request.
 */
export interface ApiProxy {
  readonly connection: Connection;
  readonly seen: Seen[];
  fault: (request: Seen) => Fault | undefined;
  /** Path and query of the watches that are open: their answers have begun. */
  openWatches(): string[];
  /** Cuts the connections of watches that are open now. */
  cutWatches(): void;
  /** From now on, no byte of the watches that are open comes through any more, and none of their connections ends. */
  muteWatches(): void;
  /** Lets each open watch through for so many bytes more, then cuts it. */
  cutWatchesAfter(bytes: number): void;
  stop(): Promise<void>;
}

/** `upstream`: a connection to the API server itself. */
export async function startApiProxy(upstream: Connection): Promise<ApiProxy> {
  const seen: Seen[] = [];
  const watches = new Set<{ url: string; response: ServerResponse; left: number; muted: boolean }>();
  const target = new URL(upstream.url);

  const pass = async (incoming: IncomingMessage, response: ServerResponse, cutAfter: number) => {
    const { tls } = await upstream.credentials();
    const isWatch = incoming.url?.includes("watch=true") === true;
    const send = target.protocol === "https:" ? secureRequest : request;
    const outgoing = send({
      ...tls,
      host: target.hostname,
      port: target.port,
      method: incoming.method,
      path: incoming.url,
      headers: { ...incoming.headers, host: target.host },
    });
    const watch = { url: incoming.url ?? "", response, left: cutAfter, muted: false };
    response.on("close", () => {
      watches.delete(watch);
      outgoing.destroy();
    });
    outgoing.on("error", () => response.destroy());
    outgoing.on("response", (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      response.flushHeaders();
      if (isWatch && answer.statusCode === 200) watches.add(watch);
      answer.on("data", (chunk: Buffer) => {
        if (watch.muted) return;
        response.write(chunk.subarray(0, watch.left));
        watch.left -= chunk.length;
        // Ended after what was written is on its way, so that the part of an object is really seen.
        if (watch.left <= 0) response.socket?.destroySoon();
      });
      answer.on("end", () => watch.muted || response.end());
      answer.on("error", () => watch.muted || response.destroy());
    });
    incoming.pipe(outgoing);
  };

  let fault: ApiProxy["fault"] = () => undefined;
  const server = createServer((incoming, response) => {
    const request = { method: incoming.method ?? "", url: incoming.url ?? "" };
    seen.push(request);
    const now = fault(request);
    if (now === undefined) void pass(incoming, response, Number.POSITIVE_INFINITY);
    else if ("delay" in now) {
      setTimeout(() => void pass(incoming, response, Number.POSITIVE_INFINITY), now.delay);
    } else if ("cutAfter" in now) void pass(incoming, response, now.cutAfter);
    else if ("answer" in now) {
      incoming.resume();
      response.writeHead(now.answer, now.headers).end(now.body ?? "");
    }
  });
  server.keepAliveTimeout = 300_000;
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return {
    connection: {
      url: `http://127.0.0.1:${port}`,
      credentials: async (options) => ({
        headers: (await upstream.credentials(options)).headers,
        tls: PLAIN,
      }),
    },
    seen,
    set fault(next) {
      fault = next;
    },
    get fault() {
      return fault;
    },
    openWatches: () => [...watches].map(({ url }) => url),
    cutWatches: () => {
      for (const { response } of watches) response.destroy();
    },
    muteWatches: () => {
      for (const watch of watches) watch.muted = true;
    },
    cutWatchesAfter: (bytes) => {
      for (const watch of watches) watch.left = bytes;
    },
    stop: async () => {
      server.closeAllConnections();
      await once(server.close(), "close");
    },
  };
}

const PLAIN = {};
