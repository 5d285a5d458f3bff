import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Connection } from "../../operator/kube/connection.ts";

/** A server in this process that answers as a test says: for answers that no real API server gives when asked to. */
export interface ScriptedApi {
  readonly connection: Connection;
  /** What was asked for, oldest first. */
  readonly asked: {
    method: string;
    path: string;
    query: URLSearchParams;
    headers: IncomingMessage["headers"];
  }[];
  stop(): Promise<void>;
}

export type Answerer = (asked: ScriptedApi["asked"][number], response: ServerResponse) => void;

export async function startScriptedApi(answer: Answerer): Promise<ScriptedApi> {
  const asked: ScriptedApi["asked"] = [];
  const server = createServer((request, response) => {
    request.resume();
    const { pathname, searchParams } = new URL(request.url ?? "/", "http://any");
    const one = {
      method: request.method ?? "",
      path: pathname,
      query: searchParams,
      headers: request.headers,
    };
    asked.push(one);
    answer(one, response);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const tls = {};
  return {
    asked,
    connection: {
      url: `http://127.0.0.1:${port}`,
      credentials: async () => ({ headers: {}, tls }),
    },
    stop: async () => {
      server.closeAllConnections();
      await once(server.close(), "close");
    },
  };
}

/** Answers with JSON, as a whole. */
export function json(response: ServerResponse, body: unknown, status = 200): void {
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
}

/** Answers with the lines of a watch, and leaves it open unless `end`. */
export function lines(response: ServerResponse, events: readonly unknown[], end = false): void {
  response.writeHead(200, { "content-type": "application/json" });
  response.flushHeaders();
  for (const event of events) response.write(`${JSON.stringify(event)}\n`);
  if (end) response.end();
}

/** What an API server says when it refuses. */
export function refusal(response: ServerResponse, code: number, reason: string): void {
  json(response, { kind: "Status", status: "Failure", code, reason, message: `refused: ${reason}` }, code);
}
