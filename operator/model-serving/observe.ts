import type { Pod } from "kubernetes-types/core/v1.js";
import type { RouterReport } from "../../lib/config/router.ts";
import { NaruError } from "../../lib/errors.ts";
import type { Cluster } from "../engine/cluster.ts";
import type { KubeObject } from "../engine/objects.ts";
import { readRevisions } from "../engine/revisions.ts";
import { SERVING_LABEL } from "./labels.ts";
import { routerName } from "./names.ts";
import type { Observed, ObservedRouter, PushRefusal } from "./observed.ts";
import { podsOf } from "./own-pods.ts";
import { hasEnded, readPod, readRouterConfig, readRouting, readWorkload } from "./read.ts";
import { readRoute, readScaler } from "./read-add-ons.ts";
import type { RouterClient, RouterPush } from "./router-client.ts";
import type { SentConfig } from "./router-config.ts";
import { isIssued } from "./router-sequence.ts";
import type { OperatorSettings } from "./settings.ts";

const SCALERS = ["HorizontalPodAutoscaler", "ScaledObject"];
const ROUTES = ["HTTPRoute", "GRPCRoute"];

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
  environment: { settings: OperatorSettings; routerKeys: readonly string[]; routers: RouterClient },
): Promise<Observed> {
  const { name, namespace = "", uid = "" } = resource.metadata;
  const named = (kind: string, own: string) =>
    owned.find((object) => object.kind === kind && object.metadata.name === own);
  const deployments = owned.filter(({ kind }) => kind === "Deployment");
  const labels = { [SERVING_LABEL]: name };
  const labelled = cluster.list({ apiVersion: "v1", kind: "Pod", namespace, labels });
  const pods = podsOf(deployments, labelled).filter((pod) => !hasEnded(pod));
  const config = readRouterConfig(named("ConfigMap", routerName(name)));
  const owner = { namespace, name, uid };
  const wanted = config !== undefined && isIssued(config, resource.status) ? { owner, config } : undefined;
  const routers = await Promise.all(
    pods
      .filter((pod) => readPod(pod).role === "router")
      .map((pod) => observeRouter(pod, wanted, environment.routers, signal)),
  );
  const workloads = deployments.map(readWorkload);
  return {
    settings: environment.settings,
    routerKeys: environment.routerKeys,
    kept: readRevisions(owned),
    workloads: new Map(workloads.map((workload) => [workload.name, workload])),
    pods: pods.map(readPod),
    routers,
    routing: readRouting(named("Service", name)),
    routerConfig: config,
    scalers: owned.filter(({ kind }) => SCALERS.includes(kind)).map(readScaler),
    routes: owned.filter(({ kind }) => ROUTES.includes(kind)).map(readRoute),
    configMaps: new Set(
      owned.filter(({ kind }) => kind === "ConfigMap").map(({ metadata }) => metadata.name),
    ),
    serves: (kind) => cluster.serves(kind),
    hides: (kind) => cluster.hides(kind),
  };
}

async function observeRouter(
  object: KubeObject,
  wanted: RouterPush | undefined,
  client: RouterClient,
  signal: AbortSignal,
): Promise<ObservedRouter> {
  const pod = readPod(object);
  const address = adminAddress(object);
  const answer = address === undefined ? {} : await reach(address, wanted, client, signal);
  return {
    pod: pod.name,
    ready: pod.ready,
    readySince: pod.readySince,
    leaving: pod.leaving,
    report: answer.report,
    refusal: answer.refusal,
  };
}

/** What a router says after it was told what it has to know; no report where it does not answer. */
async function reach(
  address: string,
  wanted: RouterPush | undefined,
  client: RouterClient,
  signal: AbortSignal,
): Promise<{ report?: RouterReport; refusal?: PushRefusal | undefined }> {
  const limited = AbortSignal.any([signal, AbortSignal.timeout(ROUTER_LIMIT_MILLISECONDS)]);
  try {
    const report = await client.status(address, limited);
    if (wanted === undefined || isTold(report, wanted.config)) return { report };
    const refusal = await client.configure(address, wanted, limited);
    return { report: await client.status(address, limited), refusal };
  } catch (thrown) {
    // That it does not answer is what was observed; it is asked again while anything waits for it.
    if (thrown instanceof NaruError || signal.aborted || limited.aborted) return {};
    throw thrown;
  }
}

/**
 * Whether there is nothing to tell a router. One that skipped a configuration and is back at what it had must hear the
 * number all the same: it would take the one it skipped from whoever recorded that.
 */
function isTold({ generation, sequence }: RouterReport, wanted: SentConfig): boolean {
  return generation === wanted.generation && (sequence === undefined || sequence >= (wanted.sequence ?? 0));
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
