import type { Container, PodSpec, PodTemplateSpec, Volume, VolumeMount } from "kubernetes-types/core/v1.js";
import type { ModelServingSpec } from "../../../crds/model-serving.ts";
import type { Connections } from "../connections.ts";
import type { Model, Container as UserContainer } from "../model-source.ts";
import { fetchContainer } from "./fetch-container.ts";
import { envOf, placement, resourcesOf } from "./pod-settings.ts";
import { containerProbes } from "./probes.ts";
import { CONFIG_DIR, MODELS_DIR, preStop, runtimeServer } from "./runtime-container.ts";
import { RESTRICTED_POD, USER_CONTAINER, USER_POD } from "./security.ts";

/** Volume that instantiate.ts gives the name of the revision's ConfigMap. */
export const CONFIG_VOLUME = "config";
export const SERVER_CONTAINER = "server";

/**
 * Pod templates of a revision, without what a revision and a track add (names and labels): see instantiate.ts.
 * They are kept with the revision, so a later operator that would write them differently restarts no pod.
 */
export interface PodContext {
  readonly name: string;
  readonly spec: ModelServingSpec;
  readonly connections: Connections;
  readonly runtimeImage: string;
}

/** A pod of Naru's inference server. `sources`: the models, grouped by where and how they are fetched. */
export function inferencePod(context: PodContext, sources: readonly (readonly Model[])[]): PodTemplateSpec {
  const { spec, connections, runtimeImage } = context;
  const baked = sources.flat().find((model) => model.image !== undefined)?.image;
  const image = baked ?? runtimeImage;
  const server = runtimeServer("inference", {
    name: SERVER_CONTAINER,
    image,
    startupSeconds: spec.server?.startupSeconds ?? 600,
    preStopSeconds: connections.preStopSeconds,
  });
  const fetched = baked === undefined ? sources.filter((models) => models.length > 0) : [];
  const fetches = fetched.map((models, index) => {
    const [model] = models;
    if (model === undefined) throw new Error("a source has no model");
    const configVolume = index === 0 ? CONFIG_VOLUME : `${CONFIG_VOLUME}-${index}`;
    const name = index === 0 ? "fetch" : `fetch-${index}`;
    return fetchContainer({ name, image: runtimeImage, model, configVolume });
  });
  const mounts: VolumeMount[] = [
    { name: CONFIG_VOLUME, mountPath: CONFIG_DIR, readOnly: true },
    { name: "tmp", mountPath: "/tmp" },
  ];
  // An image with the model inside must not have it covered by a volume.
  if (baked === undefined) mounts.push({ name: "models", mountPath: MODELS_DIR, readOnly: true });
  const volumes: Volume[] = [
    { name: CONFIG_VOLUME, configMap: {} },
    ...fetched.slice(1).map((_, index) => ({
      name: `${CONFIG_VOLUME}-${index + 1}`,
      configMap: { items: [{ key: `fetch-${index + 1}.json`, path: "fetch.json" }] },
    })),
    ...(baked === undefined ? [modelsVolume(sources.flat())] : []),
    { name: "tmp", emptyDir: {} },
    ...fetches.flatMap((fetch) => fetch.volumes),
  ];
  const container: Container = {
    ...server,
    env: [...(server.env ?? []), ...envOf(spec.pod)],
    volumeMounts: mounts,
    ...resourcesOf(spec.pod),
  };
  return template(context, {
    ...(fetches.length === 0 ? {} : { initContainers: fetches.map((fetch) => fetch.container) }),
    containers: [container],
    volumes,
    securityContext: RESTRICTED_POD,
  });
}

/** A pod of a user's own server, under the same rules for its end. */
export function userPod(context: PodContext, declared: UserContainer): PodTemplateSpec {
  const { spec, connections } = context;
  const ports = [
    { name: "http", containerPort: declared.httpPort },
    { name: "grpc", containerPort: declared.grpcPort },
    { name: "metrics", containerPort: metricsPort(declared) },
  ].flatMap(({ name, containerPort }) =>
    containerPort === undefined ? [] : [{ name, containerPort, protocol: "TCP" }],
  );
  const env = envOf(spec.pod);
  const container: Container = {
    name: SERVER_CONTAINER,
    image: declared.image,
    ...(declared.command === undefined ? {} : { command: declared.command }),
    ...(declared.args === undefined ? {} : { args: declared.args }),
    ...(env.length === 0 ? {} : { env }),
    ports,
    ...containerProbes(declared),
    ...preStop(connections.preStopSeconds),
    ...resourcesOf(spec.pod),
    terminationMessagePolicy: "FallbackToLogsOnError",
    securityContext: USER_CONTAINER,
  };
  return template(context, { containers: [container], securityContext: USER_POD });
}

/** A port for metrics that is none of the serving ports. */
function metricsPort(declared: UserContainer): number | undefined {
  const port = declared.metrics?.port;
  return port === declared.httpPort || port === declared.grpcPort ? undefined : port;
}

/** Name of the container port that shows metrics; undefined where the server shows none. */
export function metricsPortName(declared: UserContainer): "http" | "grpc" | "metrics" | undefined {
  const { metrics, httpPort, grpcPort } = declared;
  if (metrics === undefined) return undefined;
  const port = metrics.port ?? httpPort;
  if (port === undefined) return undefined;
  return port === httpPort ? "http" : port === grpcPort ? "grpc" : "metrics";
}

function modelsVolume(models: readonly Model[]): Volume {
  const claim = models.find((model) => model.cache?.persistentVolumeClaim !== undefined)?.cache;
  if (claim?.persistentVolumeClaim !== undefined) {
    return { name: "models", persistentVolumeClaim: { claimName: claim.persistentVolumeClaim } };
  }
  const sizeLimit = models.find((model) => model.cache?.sizeLimit !== undefined)?.cache?.sizeLimit;
  return { name: "models", emptyDir: sizeLimit === undefined ? {} : { sizeLimit: String(sizeLimit) } };
}

function template(context: PodContext, pod: PodSpec): PodTemplateSpec {
  const { name, spec, connections } = context;
  const shared = spec.pod?.sharedMemory;
  const spread = spec.availability?.topologySpread ?? "Preferred";
  const whenUnsatisfiable = spread === "Required" ? "DoNotSchedule" : "ScheduleAnyway";
  return {
    metadata: { ...(spec.pod?.annotations === undefined ? {} : { annotations: spec.pod.annotations }) },
    spec: {
      ...pod,
      ...(shared === undefined ? {} : withSharedMemory(pod, String(shared))),
      ...placement(spec.pod),
      serviceAccountName: spec.pod?.serviceAccountName ?? name,
      automountServiceAccountToken: false,
      // Old-style variables of every Service of the namespace would reach a user's server, and mean nothing to ours.
      enableServiceLinks: false,
      terminationGracePeriodSeconds: connections.gracePeriodSeconds,
      ...(spread === "None"
        ? {}
        : {
            topologySpreadConstraints: ["topology.kubernetes.io/zone", "kubernetes.io/hostname"].map(
              (topologyKey) => ({ maxSkew: 1, topologyKey, whenUnsatisfiable, labelSelector: {} }),
            ),
          }),
    },
  };
}

function withSharedMemory(pod: PodSpec, sizeLimit: string): Pick<PodSpec, "containers" | "volumes"> {
  return {
    containers: pod.containers.map((container) => ({
      ...container,
      volumeMounts: [...(container.volumeMounts ?? []), { name: "shared-memory", mountPath: "/dev/shm" }],
    })),
    volumes: [...(pod.volumes ?? []), { name: "shared-memory", emptyDir: { medium: "Memory", sizeLimit } }],
  };
}
