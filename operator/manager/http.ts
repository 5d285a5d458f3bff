import { once } from "node:events";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { messageOf, NaruError } from "../../lib/errors.ts";
import type { ListenAddress } from "./address.ts";

/** Answers one path. What it throws is answered with 500, or cuts an answer that has begun. */
export type Handler = (response: ServerResponse, query: URLSearchParams) => void | Promise<void>;

export interface RunningServer {
  readonly port: number;
  /** Ends open connections as well: who probes and scrapes asks again. */
  close(): Promise<void>;
}

/** Kubelets, a Prometheus or two and a person: more connections are a mistake. */
const MAX_CONNECTIONS = 64;
const REQUEST_LIMIT_MS = 10_000;

/**
 * A server of a few fixed paths, for programs that probe and scrape.
 * @throws NaruError AddressUnusable
 */
export async function serve(
  address: ListenAddress,
  paths: Readonly<Record<string, Handler>>,
  onError: (path: string, thrown: unknown) => void,
): Promise<RunningServer> {
  const options = { requestTimeout: REQUEST_LIMIT_MS, headersTimeout: REQUEST_LIMIT_MS };
  const server = createServer(options, (request, response) => {
    const [path = "", query = ""] = request.url?.split("?", 2) ?? [];
    const handler = Object.hasOwn(paths, path) ? paths[path] : undefined;
    if (handler === undefined) return void response.writeHead(404).end();
    if (request.method !== "GET" && request.method !== "HEAD") {
      return void response.writeHead(405, { allow: "GET, HEAD" }).end();
    }
    const answer = async () => handler(response, new URLSearchParams(query));
    answer().catch((thrown: unknown) => {
      onError(path, thrown);
      if (response.headersSent) response.destroy();
      else response.writeHead(500).end();
    });
  });
  server.maxConnections = MAX_CONNECTIONS;
  try {
    server.listen({ port: address.port, ...(address.host === undefined ? {} : { host: address.host }) });
    await once(server, "listening");
  } catch (cause) {
    throw new NaruError({
      code: "AddressUnusable",
      message: `the operator can't listen on ${address.host ?? ""}:${address.port}: ${messageOf(cause)}`,
      remedy: "give it an address of this machine, and a port that nobody else uses",
      cause,
    });
  }
  return {
    port: (server.address() as AddressInfo).port,
    async close() {
      const closed = once(server, "close");
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}
