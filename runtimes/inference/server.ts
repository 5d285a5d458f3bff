import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo, Server } from "node:net";
import type { InferenceConfig } from "../../lib/config/inference.ts";
import { BodyBudget, bodyBudgetBytes } from "../../lib/http/body-budget.ts";
import { registerBodyMetrics } from "../../lib/http/body-metrics.ts";
import { manageHttp1 } from "../../lib/http/http1-lifecycle.ts";
import { withPathTarget } from "../../lib/http/request-target.ts";
import { httpServerOptions } from "../../lib/http/server-options.ts";
import type { RuntimeEnvironment } from "../../lib/process/environment.ts";
import type { RunningProgram } from "../../lib/process/run.ts";
import type { Logger } from "../../lib/telemetry/logger.ts";
import { Metrics } from "../../lib/telemetry/metrics.ts";
import { createAdminServer } from "./admin.ts";
import { createGrpc } from "./grpc-server.ts";
import { registerModelMetrics } from "./metrics.ts";
import type { ServerMetadata } from "./model.ts";
import { Repository } from "./repository.ts";
import { restHandler } from "./rest/handler.ts";

export interface InferenceServer extends RunningProgram {
  readonly repository: Repository;
  readonly ports: { readonly http: number; readonly grpc: number; readonly admin: number };
}

const serverMetadata: ServerMetadata = {
  name: "naru",
  version: "0.1.0",
  extensions: [
    "classification",
    "model_configuration",
    "model_repository",
    "model_repository(unload_dependents)",
    "statistics",
    "binary_tensor_data",
  ],
};

/**
 * Listens, then loads the models: liveness answers meanwhile, readiness only afterwards.
 *
 * @throws NaruError InvalidModel, UnsupportedTensor, InvalidConfig
 */
export async function startInference(
  config: InferenceConfig,
  env: Pick<RuntimeEnvironment, "modelsDir" | "httpPort" | "grpcPort" | "adminPort" | "listenHost">,
  log: Logger,
): Promise<InferenceServer> {
  const repository = new Repository(config, env.modelsDir, log);
  let draining = false;
  const isReady = (): boolean => !draining && repository.ready;

  const metrics = new Metrics();
  metrics.collectProcess();
  registerModelMetrics(metrics, config.revision, () => repository.loaded());
  const bodies = new BodyBudget(bodyBudgetBytes(config));
  registerBodyMetrics(metrics, bodies);
  const admin = createAdminServer({ http: config.http, metrics, isReady, isStarted: () => repository.ready });
  const rest = createServer(
    httpServerOptions(config.http),
    withPathTarget(restHandler({ repository, config, server: serverMetadata, bodies, isReady, log })),
  );
  const grpc = createGrpc({ repository, config, server: serverMetadata, bodies, isReady, log });
  const lifecycles = [manageHttp1(rest, config.http), grpc.lifecycle];
  const ports = {
    http: await listen(rest, env.httpPort, env.listenHost),
    grpc: await listen(grpc.server, env.grpcPort, env.listenHost),
    admin: await listen(admin, env.adminPort, env.listenHost),
  };
  log.info(ports, "listening");
  const stop = (): void => {
    for (const lifecycle of lifecycles) lifecycle.stop();
    admin.close();
    admin.closeAllConnections();
  };
  try {
    await repository.start();
  } catch (thrown) {
    stop();
    throw thrown;
  }
  return {
    repository,
    ports,
    stop,
    async drain() {
      draining = true;
      await Promise.all(lifecycles.map((lifecycle) => lifecycle.drain()));
      await repository.close();
      admin.close();
      admin.closeAllConnections();
    },
  };
}

async function listen(server: Server, port: number, host: string): Promise<number> {
  server.listen(port, host);
  await once(server, "listening");
  return (server.address() as AddressInfo).port;
}
