import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { eventually } from "../../support/eventually.ts";
import { accepts, end, freePort, start } from "../../support/program.ts";
import type { PoolingProxy, ProxyOptions } from "./proxy.ts";

/** nginx as ingress-nginx configures it towards pods, but for retries: those are off, so that a loss is seen. */
export async function startNginx({ idleTimeoutSeconds }: ProxyOptions): Promise<PoolingProxy> {
  const folder = await mkdtemp(join(tmpdir(), "naru-nginx-"));
  const file = join(folder, "nginx.conf");
  const port = await freePort();
  const configure = (addresses: readonly string[]) =>
    writeFile(file, config(folder, port, addresses, idleTimeoutSeconds));
  await configure([]);
  const program = start("nginx", ["-p", folder, "-c", file, "-e", "stderr", "-g", "daemon off;"]);
  let reloads = 0;
  let workersLeft = 0;
  if (program.stderr === null) throw new Error("nginx without its standard error");
  createInterface(program.stderr).on("line", (line) => {
    if (line.endsWith("gracefully shutting down")) workersLeft += 1;
  });
  await accepts(port, program);
  // It listens before it heeds signals, and the first change of upstreams is one. A worker that answers comes after.
  await fetch(`http://127.0.0.1:${port}`, { signal: AbortSignal.timeout(30_000) });
  return {
    name: "nginx",
    url: `http://127.0.0.1:${port}`,
    clientsKeepAlive: false,
    async setUpstreams(addresses) {
      await configure(addresses);
      program.kill("SIGHUP");
      // The worker with the old upstreams accepts beside the new one until it is told to leave.
      reloads += 1;
      await eventually("nginx's worker with the old upstreams to leave", () => workersLeft >= reloads);
    },
    async stop() {
      await end(program);
      await rm(folder, { recursive: true, force: true });
    },
  };
}

function config(folder: string, port: number, addresses: readonly string[], idle: number): string {
  const servers =
    addresses.length > 0
      ? addresses.map((address) => `server ${address} max_fails=0;`)
      : ["server 127.0.0.1:1 down;"];
  return `
worker_processes 1;
error_log stderr notice;
pid ${folder}/nginx.pid;
events { worker_connections 4096; }
http {
  access_log off;
  client_body_temp_path ${folder}/body;
  proxy_temp_path ${folder}/proxy;
  fastcgi_temp_path ${folder}/fastcgi;
  uwsgi_temp_path ${folder}/uwsgi;
  scgi_temp_path ${folder}/scgi;
  client_max_body_size 64m;
  upstream pods {
    ${servers.join("\n    ")}
    keepalive 64;
    keepalive_timeout ${idle}s;
    keepalive_requests 1000000;
  }
  server {
    listen 127.0.0.1:${port} backlog=4096;
    location / {
      proxy_pass http://pods;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_next_upstream off;
      proxy_connect_timeout 2s;
      proxy_read_timeout 30s;
    }
  }
}
`;
}
