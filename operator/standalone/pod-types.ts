import type { KubeObject, ObjectMeta } from "../engine/objects.ts";

/** The parts of a PodSpec that standalone acts on; supported.ts refuses the rest before it comes here. */
export interface PodSpec {
  containers: Container[];
  initContainers?: Container[];
  volumes?: Volume[];
  restartPolicy?: "Always" | "OnFailure" | "Never";
  terminationGracePeriodSeconds?: number;
}

export interface Container {
  name: string;
  image: string;
  args?: string[];
  env?: EnvVar[];
  ports?: ContainerPort[];
  volumeMounts?: { name: string; mountPath: string; subPath?: string }[];
  startupProbe?: Probe;
  readinessProbe?: Probe;
  livenessProbe?: Probe;
  lifecycle?: { preStop?: { sleep?: { seconds: number } } };
  terminationMessagePolicy?: "File" | "FallbackToLogsOnError";
}

export interface ContainerPort {
  name?: string;
  containerPort: number;
  protocol?: string;
}

export interface KeyRef {
  name: string;
  key: string;
  optional?: boolean;
}

export interface EnvVar {
  name: string;
  value?: string;
  valueFrom?: { fieldRef?: { fieldPath: string }; secretKeyRef?: KeyRef; configMapKeyRef?: KeyRef };
}

export interface ConfigSource {
  items?: { key: string; path: string }[];
  optional?: boolean;
}

export interface Volume {
  name: string;
  emptyDir?: unknown;
  configMap?: ConfigSource & { name: string };
  secret?: ConfigSource & { secretName: string };
  projected?: {
    sources: { configMap?: ConfigSource & { name: string }; secret?: ConfigSource & { name: string } }[];
  };
  persistentVolumeClaim?: { claimName: string };
}

export interface Probe {
  httpGet?: {
    path?: string;
    port: number | string;
    scheme?: string;
    httpHeaders?: { name: string; value: string }[];
  };
  tcpSocket?: { port: number | string };
  grpc?: { port: number | string; service?: string };
  initialDelaySeconds?: number;
  periodSeconds?: number;
  timeoutSeconds?: number;
  successThreshold?: number;
  failureThreshold?: number;
  terminationGracePeriodSeconds?: number;
}

export interface Terminated {
  exitCode: number;
  signal?: number;
  reason: string;
  message?: string;
  startedAt: string;
  finishedAt: string;
}

export interface ContainerState {
  waiting?: { reason: string; message?: string };
  running?: { startedAt: string };
  terminated?: Terminated;
}

export interface ContainerStatus {
  name: string;
  image: string;
  ready: boolean;
  started: boolean;
  restartCount: number;
  state: ContainerState;
  lastState: ContainerState;
}

export interface PodCondition {
  type: string;
  status: "True" | "False";
  lastTransitionTime: string;
  reason?: string;
}

export interface PodStatus {
  phase: "Pending" | "Running" | "Succeeded" | "Failed";
  podIP: string;
  hostIP: string;
  startTime: string;
  conditions: PodCondition[];
  initContainerStatuses: ContainerStatus[];
  containerStatuses: ContainerStatus[];
}

export interface Pod extends KubeObject {
  metadata: ObjectMeta & { namespace: string; uid: string };
  spec: PodSpec;
  status?: PodStatus;
}

export const podKind = { apiVersion: "v1", kind: "Pod" } as const;

/** A stored Pod; the store gives every object a namespace and a uid. */
export function asPod(object: KubeObject): Pod {
  return object as Pod;
}

export function isReady(pod: Pod): boolean {
  return conditionOf(pod, "Ready")?.status === "True" && pod.metadata.deletionTimestamp === undefined;
}

export function conditionOf(pod: Pod, type: string): PodCondition | undefined {
  return pod.status?.conditions.find((condition) => condition.type === type);
}

export function isFinished(pod: Pod): boolean {
  return pod.status?.phase === "Succeeded" || pod.status?.phase === "Failed";
}
