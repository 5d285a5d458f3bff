import { createServer } from "node:http";
import type { Server } from "node:net";
import { httpConfig } from "../../lib/config/inference.ts";
import { manageHttp1 } from "../../lib/http/http1-lifecycle.ts";
import { manageHttp2 } from "../../lib/http/http2-lifecycle.ts";
import { withPathTarget } from "../../lib/http/request-target.ts";
import { applyTimeouts, httpServerOptions } from "../../lib/http/server-options.ts";
import { openServiceAddresses } from "../../lib/http/service-address.ts";
import type { RunningProgram } from "../../lib/process/run.ts";
import type { RuntimeContext } from "../runtime.ts";
import { adminServer } from "./admin.ts";
import { ConfigSource } from "./config-source.ts";
import { routerGrpcServer } from "./grpc/server.ts";
import { handleRest } from "./rest.ts";
import { Router } from "./router.ts";

/** A router that runs. Ports are those that were taken, should 0 have been asked for. */
export interface RunningRouter extends RunningProgram {
  readonly ports: { readonly http: number; readonly grpc: number; readonly admin: number };
}

/**
 * Starts the router: `router.json` in NARU_CONFIG_DIR, then what is pushed to `PUT /naru/config`. It listens from the start,
 * configured or not, and is ready once a configuration is applied. Connection rules follow the configuration too: a
 * change of the ingress profile reaches connections that are opened from then on.
 */
export async function start({ env, log }: RuntimeContext): Promise<RunningRouter> {
  const addresses = openServiceAddresses(process.env.NARU_HOSTS_FILE, (problem) =>
    log.warn({ problem }, "hosts file"),
  );
  // One object, which the servers' lifecycles read anew for each connection.
  const http = httpConfig.parse({});
  const data = createServer(
    httpServerOptions(http),
    withPathTarget((request, response) => handleRest(router, request, response)),
  );
  const router = new Router(addresses, log, (config) => {
    Object.assign(http, config.http);
    applyTimeouts(data, http);
  });
  const source = new ConfigSource({
    configDir: env.configDir,
    stateDir: process.env.NARU_STATE_DIR,
    router,
    log,
  });
  await source.open();

  const lifecycle = manageHttp1(data, http);
  const admin = adminServer(router, source, env.configDir, http, () => lifecycle.draining);
  const grpc = routerGrpcServer(router, log);
  const grpcLifecycle = manageHttp2(grpc, http);
  await listen(grpc, env.grpcPort, env.listenHost);
  await listen(data, env.httpPort, env.listenHost);
  await admin.listen({ port: env.adminPort, host: env.listenHost });
  const ports = { http: portOf(data), grpc: portOf(grpc), admin: portOf(admin.server) };
  log.info({ ports, generation: router.report().generation, ready: router.ready }, "listens");

  const close = async (): Promise<void> => {
    await admin.close();
    await source.close();
    await router.close();
    addresses.close();
  };
  return {
    ports,
    async drain() {
      const [rest, rpc] = await Promise.all([lifecycle.drain(), grpcLifecycle.drain()]);
      log.info({ rest, grpc: rpc }, "drained");
      await close();
    },
    stop() {
      lifecycle.stop();
      grpcLifecycle.stop();
      close().catch((error: unknown) => log.warn({ err: error }, "did not close cleanly"));
    },
  };
}

function listen(server: Server, port: number, host: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, () => {
      server.off("error", reject);
      resolve();
    });
  });
}

function portOf(server: Server): number {
  const address = server.address();
  return typeof address === "object" && address !== null ? address.port : 0;
}
