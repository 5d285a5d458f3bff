import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { eventually } from "../../support/eventually.ts";
import { accepts, end, freePort, start } from "../../support/program.ts";
import type { PoolingProxy, ProxyOptions } from "./proxy.ts";

/** More than the pods that one test brings up at a time. */
const SLOTS = 32;

/** HAProxy with shared upstream connections and without retries. Its upstreams change over its runtime socket, without a reload. */
export async function startHaproxy({ idleTimeoutSeconds }: ProxyOptions): Promise<PoolingProxy> {
  const folder = await mkdtemp(join(tmpdir(), "naru-haproxy-"));
  const file = join(folder, "haproxy.cfg");
  const socket = join(folder, "socket");
  const port = await freePort();
  await writeFile(file, config(socket, port, idleTimeoutSeconds));
  const program = start("haproxy", ["-db", "-f", file]);
  await accepts(port, program);
  // It takes clients a moment before its runtime socket has its name.
  await eventually("haproxy's runtime socket", () => existsSync(socket));
  const slots: (string | undefined)[] = Array.from({ length: SLOTS });
  let next = 0;
  return {
    name: "haproxy",
    url: `http://127.0.0.1:${port}`,
    clientsKeepAlive: true,
    async setUpstreams(addresses) {
      const commands: string[] = [];
      for (const [slot, address] of slots.entries()) {
        if (address !== undefined && !addresses.includes(address)) {
          commands.push(`set server pods/pod${slot + 1} state maint`);
          slots[slot] = undefined;
        }
      }
      for (const address of addresses) {
        if (slots.includes(address)) continue;
        // The slot that has been free for longest: its old connections are surely gone.
        while (slots[next % SLOTS] !== undefined) next++;
        const slot = next++ % SLOTS;
        slots[slot] = address;
        const [host, upstreamPort] = address.split(":");
        commands.push(`set server pods/pod${slot + 1} addr ${host} port ${upstreamPort}`);
        commands.push(`set server pods/pod${slot + 1} state ready`);
      }
      if (commands.length > 0) await tell(socket, commands.join("; "));
    },
    async stop() {
      await end(program);
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function tell(path: string, commands: string): Promise<void> {
  const socket = connect(path);
  socket.end(`${commands}\n`);
  socket.resume();
  await once(socket, "close");
}

function config(socket: string, port: number, idle: number): string {
  return `
global
  stats socket ${socket} mode 600 level admin
  maxconn 8192
  nbthread 1
  tune.pool-low-fd-ratio 90
  tune.pool-high-fd-ratio 95
defaults
  mode http
  timeout connect 2s
  timeout client 60s
  timeout server 30s
  timeout http-keep-alive 60s
  retries 0
  option http-keep-alive
frontend clients
  bind 127.0.0.1:${port}
  default_backend pods
backend pods
  balance roundrobin
  http-reuse always
  server-template pod 1-${SLOTS} 127.0.0.1:1 disabled pool-max-conn 64 pool-purge-delay ${idle}s
`;
}
