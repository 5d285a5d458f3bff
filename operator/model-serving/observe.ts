import type { Pod } from "kubernetes-types/core/v1.js";
import type { RouterConfig, RouterReport } from "../../lib/config/router.ts";
import { NaruError } from "../../lib/errors.ts";
import type { Cluster } from "../engine/cluster.ts";
import type { KubeObject } from "../engine/objects.ts";
import { readRevisions } from "../engine/revisions.ts";
import { SERVING_LABEL } from "./labels.ts";
import { routerName } from "./names.ts";
import type { Observed, ObservedRouter } from "./observed.ts";
import { readPod, readRouterConfig, readRouting, readWorkload } from "./read.ts";
import type { RouterClient } from "./router-client.ts";
import type { OperatorSettings } from "./settings.ts";

/** A router that does not answer within this time counts as one that does not answer. */
const ROUTER_LIMIT_MILLISECONDS = 1000;

/**
 * What decisions are made of: the owned objects and the pods, as the cache has them, and what the routers say when
 * asked. A router that has another configuration than the one that was applied is told it on the way: a mounted
 * ConfigMap would reach it only after a minute.
 */
export async function observe(
  resource: KubeObject,
  cluster: Cluster,
  signal: AbortSignal,
  owned: readonly KubeObject[],
  environment: { settings: OperatorSettings; routers: RouterClient },
): Promise<Observed> {
  const { name, namespace = "" } = resource.metadata;
  const named = (kind: string, own: string) =>
    owned.find((object) => object.kind === kind && object.metadata.name === own);
  const pods = cluster.list({
    apiVersion: "v1",
    kind: "Pod",
    namespace,
    labels: { [SERVING_LABEL]: name },
  });
  const config = readRouterConfig(named("ConfigMap", routerName(name)));
  const routers = await Promise.all(
    pods
      .filter((pod) => readPod(pod).role === "router")
      .map((pod) => observeRouter(pod, config, environment.routers, signal)),
  );
  const workloads = owned.filter(({ kind }) => kind === "Deployment").map(readWorkload);
  return {
    settings: environment.settings,
    kept: readRevisions(owned),
    workloads: new Map(workloads.map((workload) => [workload.name, workload])),
    pods: pods.map(readPod),
    routers,
    routing: readRouting(named("Service", name)),
    routerConfig: config,
    configMaps: new Set(
      owned.filter(({ kind }) => kind === "ConfigMap").map(({ metadata }) => metadata.name),
    ),
    serves: (kind) => cluster.serves(kind),
  };
}

async function observeRouter(
  object: KubeObject,
  config: RouterConfig | undefined,
  client: RouterClient,
  signal: AbortSignal,
): Promise<ObservedRouter> {
  const pod = readPod(object);
  const address = adminAddress(object);
  const report = address === undefined ? undefined : await reach(address, config, client, signal);
  return { pod: pod.name, ready: pod.ready, readySince: pod.readySince, leaving: pod.leaving, report };
}

/** The router's report, after it was told what it has to know; undefined where it does not answer. */
async function reach(
  address: string,
  config: RouterConfig | undefined,
  client: RouterClient,
  signal: AbortSignal,
): Promise<RouterReport | undefined> {
  const limited = AbortSignal.any([signal, AbortSignal.timeout(ROUTER_LIMIT_MILLISECONDS)]);
  try {
    const report = await client.status(address, limited);
    if (config === undefined || report.generation === config.generation) return report;
    await client.configure(address, config, limited);
    return await client.status(address, limited);
  } catch (thrown) {
    // That it does not answer is what was observed; it is asked again while anything waits for it.
    if (thrown instanceof NaruError || signal.aborted || limited.aborted) return undefined;
    throw thrown;
  }
}

/** `host:port` of a pod's admin port: its own address and its declared port, never one from `spec`. */
function adminAddress(object: KubeObject): string | undefined {
  const { spec, status } = object as Pod;
  const ports = spec?.containers.flatMap((container) => container.ports ?? []) ?? [];
  const port = ports.find(({ name }) => name === "admin")?.containerPort;
  const host = status?.podIP;
  if (host === undefined || host === "" || port === undefined) return undefined;
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}
