import { once } from "node:events";
import { readFile, writeFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { request } from "node:https";
import type { AddressInfo } from "node:net";
import { parse } from "yaml";
import type { ApiServer } from "../../support/api-server.ts";

export interface Recorded {
  readonly method: string;
  readonly path: string;
}

/** Stands between one client and the API server, and writes down what that client asks for. */
export interface RecordingProxy {
  /** Leads to it. */
  readonly kubeconfig: string;
  /** In the order in which requests arrived. */
  readonly requests: readonly Recorded[];
  /** Requests that change something, but for those of Leases and Events. */
  readonly writes: readonly Recorded[];
  /** Keeps requests of which it is true, unanswered and unsent, until `release`. */
  hold(of: (request: Recorded) => boolean): void;
  readonly held: number;
  release(): void;
  close(): Promise<void>;
}

export async function startRecordingProxy(server: ApiServer, kubeconfig: string): Promise<RecordingProxy> {
  const config = parse(await readFile(server.kubeconfig, "utf8"));
  const { cluster } = config.clusters[0];
  const ca = await readFile(cluster["certificate-authority"]);
  const requests: Recorded[] = [];
  let waits: (request: Recorded) => boolean = () => false;
  let held: (() => void)[] = [];

  const forward = (incoming: IncomingMessage, response: ServerResponse) => {
    const outgoing = request(`${server.url}${incoming.url}`, {
      method: incoming.method,
      headers: incoming.headers,
      ca,
    });
    outgoing.on("response", (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
      answer.on("error", () => response.destroy());
    });
    outgoing.on("error", () => response.destroy());
    response.on("close", () => outgoing.destroy());
    incoming.pipe(outgoing);
  };
  const proxy = createServer((incoming, response) => {
    const recorded = { method: incoming.method ?? "", path: incoming.url ?? "" };
    requests.push(recorded);
    if (waits(recorded)) held.push(() => forward(incoming, response));
    else forward(incoming, response);
  });
  proxy.listen(0, "127.0.0.1");
  await once(proxy, "listening");
  const url = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
  await writeFile(
    kubeconfig,
    JSON.stringify({
      ...config,
      clusters: [{ name: "test", cluster: { server: url, "insecure-skip-tls-verify": true } }],
    }),
    { mode: 0o600 },
  );
  return {
    kubeconfig,
    requests,
    get writes() {
      return requests.filter(({ method, path }) => method !== "GET" && !/\/(leases|events)\b/.test(path));
    },
    hold(of) {
      waits = of;
    },
    get held() {
      return held.length;
    },
    release() {
      waits = () => false;
      const all = held;
      held = [];
      for (const go of all) go();
    },
    async close() {
      const closed = once(proxy, "close");
      proxy.close();
      proxy.closeAllConnections();
      await closed;
    },
  };
}
