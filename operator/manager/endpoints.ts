import { messageOf } from "../../lib/errors.ts";
import type { Log } from "../engine/log.ts";
import { type Check, healthPath } from "./health.ts";
import { type Handler, type RunningServer, serve } from "./http.ts";
import type { ManagerOptions } from "./options.ts";
import { profilingAddress, profilingPaths } from "./profiling.ts";

/** What the operator says of itself. */
export interface Endpoints {
  /** Of `/healthz`: what ending the process would mend. */
  readonly live: readonly Check[];
  /** Of `/readyz`. */
  readonly ready: readonly Check[];
  readonly scrape: Handler;
}

/**
 * Opens the servers that the options ask for, each on its own port, so that a NetworkPolicy can tell them apart.
 * @throws NaruError AddressUnusable
 */
export async function openEndpoints(
  options: Pick<ManagerOptions, "healthAddress" | "metricsAddress" | "profilingPort">,
  log: Log,
  { live, ready, scrape }: Endpoints,
): Promise<{ close(): Promise<void> }> {
  const health = healthPath(live);
  const profiling = options.profilingPort === undefined ? undefined : profilingAddress(options.profilingPort);
  const wanted = [
    {
      name: "health",
      address: options.healthAddress,
      paths: { "/healthz": health, "/livez": health, "/readyz": healthPath(ready) },
    },
    { name: "metrics", address: options.metricsAddress, paths: { "/metrics": scrape } },
    { name: "profiling", address: profiling, paths: profilingPaths() },
  ];
  const servers: RunningServer[] = [];
  const close = async () => {
    await Promise.all(servers.map((server) => server.close()));
  };
  try {
    for (const { name, address, paths } of wanted) {
      if (address === undefined) continue;
      const server = await serve(address, paths, (path, thrown) =>
        log.error({ path, error: messageOf(thrown) }, "a request could not be answered"),
      );
      servers.push(server);
      log.info({ endpoint: name, host: address.host ?? "", port: server.port }, "listens");
    }
  } catch (thrown) {
    await close();
    throw thrown;
  }
  return { close };
}
