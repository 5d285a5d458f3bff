import { randomUUID } from "node:crypto";
import { hostname } from "node:os";
import type { RunningProgram } from "../../lib/process/run.ts";
import type { Logger } from "../../lib/telemetry/logger.ts";
import { systemClock } from "../engine/clock.ts";
import { startControllers } from "../engine/start.ts";
import { openApiClient } from "../kube/api-client.ts";
import { openKubeCluster } from "../kube/cluster.ts";
import { Election } from "../kube/election.ts";
import { LEASE } from "../kube/lease.ts";
import { leaseOf } from "../kube/lease-store.ts";
import { openConnection } from "../kube/open-connection.ts";
import { signingKeySecret } from "../kube/signing-key-secret.ts";
import { modelServingKind } from "../model-serving/kind.ts";
import { openRouterSigner } from "../model-serving/router-signer.ts";
import { openEndpoints } from "./endpoints.ts";
import { loopCheck, watched } from "./health.ts";
import { kindRules } from "./kinds.ts";
import { alwaysLeading, type Leadership, leadInTerms } from "./leadership.ts";
import { managerMetrics } from "./metrics.ts";
import type { ManagerOptions } from "./options.ts";
import { patiently } from "./patiently.ts";

/** Of the Lease, which the chart's Role names. */
const LEASE_NAME = "naru-operator";
/** The lease has connections of its own: its renewal must not wait behind the requests of reconciles. */
const LEASE_CONNECTIONS = 2;
/** Milliseconds: thrice what a reflector waits for a sign of life before it gives a watch up by itself. */
const WATCH_STUCK = 540_000;
/** Milliseconds: more than a term takes to wind up, during which the lease is not asked for. */
const ELECTION_STUCK = 120_000;

/**
 * The operator on a Kubernetes cluster. Every replica lists and watches, so that whichever comes to lead begins at
 * once; that one alone reconciles. Resolves when what there is has been listed, however long the API server takes.
 */
export async function startManager(
  options: ManagerOptions,
  log: Logger,
  version: string,
): Promise<RunningProgram> {
  const { serviceAccountFolder } = options;
  const connection = await openConnection(serviceAccountFolder === undefined ? {} : { serviceAccountFolder });
  const instance = process.env.POD_NAME || hostname();
  const metrics = managerMetrics(version, LEASE_NAME, new URL(connection.url).host);
  const onAnswer = metrics.answered;
  const client = openApiClient(connection, { onAnswer });
  const leaseClient = openApiClient(connection, { onAnswer, connections: LEASE_CONNECTIONS });
  const stopping = new AbortController();
  const identity = `${instance}_${randomUUID()}`;
  let term: Leadership | undefined;
  let synced = false;

  const election = new Election({
    store: leaseOf(leaseClient, options.leaseNamespace, LEASE_NAME),
    identity,
    log,
    timing: options.timing,
    onChange: metrics.leads,
  });
  const engine = watched(metrics.engine);
  const endpoints = await openEndpoints(options, log, {
    live: [
      engine.check,
      loopCheck("watches", WATCH_STUCK, () => (synced ? cluster.idle : 0)),
      loopCheck("leader-election", ELECTION_STUCK, () => (synced && options.leaderElect ? election.idle : 0)),
    ],
    ready: [{ name: "caches", problem: () => (synced ? undefined : "not all kinds are listed yet") }],
    scrape: metrics.scrape,
  });

  if (!options.runtimeImage.includes("@sha256:")) {
    log.warn(
      { image: options.runtimeImage },
      "the runtime image is named by a tag: pods of one revision may differ",
    );
  }
  const keys = signingKeySecret(client, options.namespace);
  const signer = await patiently(log, "the signing keys are not at hand", () => openRouterSigner(keys));
  const kinds = [modelServingKind(settingsOf(options), signer)];
  const cluster = await openKubeCluster({
    client,
    log,
    kinds: kindRules(kinds),
    namespaces: options.watchNamespaces,
    mayWrite: () => term?.mayWrite() ?? false,
    instance,
  });
  synced = true;
  log.info({ version, instance }, "every kind is listed");

  const leading = leadInTerms({
    acquire: (signal) => (options.leaderElect ? election.acquire(signal) : Promise.resolve(alwaysLeading)),
    start: (begun) => {
      term = begun;
      const about = { ...LEASE, namespace: options.leaseNamespace, name: LEASE_NAME };
      const message = `${identity} became leader`;
      if (options.leaderElect) cluster.event({ about, type: "Normal", reason: "LeaderElection", message });
      return startControllers({
        cluster,
        kinds,
        log,
        concurrency: options.concurrency,
        metrics: engine.metrics,
        mayWrite: () => begun.mayWrite(),
      });
    },
    signal: stopping.signal,
    clock: systemClock,
  });

  return {
    async drain() {
      stopping.abort(new Error("the operator stops"));
      await leading;
      await cluster.stop();
      await Promise.all([client.close(), leaseClient.close()]);
      await endpoints.close();
    },
    // A second SIGTERM: the lease is left to run out, since what is cut off may still arrive.
    stop: () => undefined,
  };
}

function settingsOf({ runtimeImage, namespace, clusterDomain, prometheusUrl }: ManagerOptions) {
  return {
    runtimeImage,
    namespace,
    ...(clusterDomain === undefined ? {} : { clusterDomain }),
    ...(prometheusUrl === undefined ? {} : { prometheusUrl }),
  };
}
