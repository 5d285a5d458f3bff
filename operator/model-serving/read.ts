import type { Deployment } from "kubernetes-types/apps/v1.js";
import type { ConfigMap, ContainerStatus, Pod, Service } from "kubernetes-types/core/v1.js";
import { z } from "zod";
import { routerConfig } from "../../lib/config/router.ts";
import type { KubeObject } from "../engine/objects.ts";
import { REVISION_LABEL } from "../engine/revisions.ts";
import { cut } from "../engine/text.ts";
import { NODE_LABEL, ROLE_LABEL, type Role, TRACK_LABEL } from "./labels.ts";
import { TRACKS } from "./names.ts";
import type { ContainerProblem, ObservedPod, Workload } from "./observed.ts";
import { SERVER_CONTAINER } from "./pod/serving-pod.ts";
import type { SentConfig } from "./router-config.ts";

/** Reads Kubernetes objects into what decisions are made of. Status that is not there yet counts as nothing. */

export function readWorkload(object: KubeObject): Workload {
  const { spec, status = {}, metadata } = object as Deployment;
  const template = spec?.template;
  const conditions = status.conditions ?? [];
  const failure = conditions.find(({ type, status: holds }) => type === "ReplicaFailure" && holds === "True");
  return {
    name: object.metadata.name,
    resourceVersion: object.metadata.resourceVersion,
    revision: template?.metadata?.labels?.[REVISION_LABEL],
    image: template?.spec?.containers[0]?.image,
    replicas: spec?.replicas ?? 1,
    current: (status.observedGeneration ?? 0) >= (metadata?.generation ?? 0),
    pods: status.replicas ?? 0,
    updated: status.updatedReplicas ?? 0,
    ready: status.readyReplicas ?? 0,
    available: status.availableReplicas ?? 0,
    deadlineExceeded: conditions.some(
      ({ type, reason }) => type === "Progressing" && reason === "ProgressDeadlineExceeded",
    ),
    podsRefused: failure === undefined ? undefined : cut(failure.message ?? "no reason was given", 1024),
  };
}

export function readPod(object: KubeObject): ObservedPod {
  const { metadata, status } = object as Pod;
  const labels = metadata?.labels ?? {};
  const conditions = status?.conditions ?? [];
  const ready = conditions.find(({ type }) => type === "Ready");
  const scheduled = conditions.find(({ type }) => type === "PodScheduled");
  const servers = status?.containerStatuses ?? [];
  const leaving = metadata?.deletionTimestamp !== undefined;
  const isReady = ready?.status === "True" && !leaving;
  const since = ready?.lastTransitionTime;
  const created = metadata?.creationTimestamp;
  return {
    name: object.metadata.name,
    role: (labels[ROLE_LABEL] ?? "inference") as Role,
    track: TRACKS.find((track) => track === labels[TRACK_LABEL]),
    revision: labels[REVISION_LABEL],
    node: labels[NODE_LABEL],
    createdAt: created === undefined ? undefined : new Date(created),
    ready: isReady,
    readySince: isReady && since !== undefined ? new Date(since) : undefined,
    leaving,
    unschedulable:
      scheduled?.status === "False" && scheduled.reason === "Unschedulable"
        ? (scheduled.message ?? "no node has room")
        : undefined,
    restarts: servers
      .filter(({ name }) => name === SERVER_CONTAINER)
      .reduce((sum, { restartCount }) => sum + restartCount, 0),
    problems: [...(status?.initContainerStatuses ?? []), ...servers].flatMap(problemOf),
  };
}

/**
 * Whether the pod was evicted, or went with its node. It stays for days for people to look at; its Deployment counts it
 * no more, and another took its place, perhaps its address as well.
 */
export function hasEnded(object: KubeObject): boolean {
  const { phase } = (object as Pod).status ?? {};
  return phase === "Failed" || phase === "Succeeded";
}

/** Names of the kubelet's waiting reasons that are not on the way to running. */
const STUCK = new Set([
  "CrashLoopBackOff",
  "ImagePullBackOff",
  "ErrImagePull",
  "ErrImageNeverPull",
  "InvalidImageName",
  "CreateContainerConfigError",
  "CreateContainerError",
  "RunContainerError",
]);

/** A reason of a condition. */
const CODE = /^[A-Za-z][A-Za-z0-9_]{0,127}$/;

/** What a runtime writes as its last word. */
const lastWord = z.object({
  code: z.string().regex(CODE),
  message: z.string(),
  remedy: z.string().optional(),
});

function problemOf(status: ContainerStatus): ContainerProblem[] {
  if (status.ready) return [];
  const container = status.name;
  const { terminated, waiting } = status.state ?? {};
  const ended = [terminated, status.lastState?.terminated].find(
    (one) => one !== undefined && one.exitCode !== 0,
  );
  if (ended !== undefined) {
    const word = parseLastWord(ended.message);
    if (word !== undefined) {
      const message = word.remedy === undefined ? word.message : `${word.message}: ${word.remedy}`;
      return [{ container, code: word.code, message: cut(message, 1024) }];
    }
    if (terminated !== undefined || (waiting?.reason !== undefined && STUCK.has(waiting.reason))) {
      return [{ container, code: ended.reason ?? "ContainerFailed", message: endingOf(ended) }];
    }
  }
  if (waiting?.reason !== undefined && STUCK.has(waiting.reason)) {
    return [{ container, code: waiting.reason, message: cut(waiting.message ?? waiting.reason, 1024) }];
  }
  return [];
}

/**
 * How a container ended that left no last word. Where it wrote none, the kubelet gives the end of its log, which may
 * be any lines from before it was killed: the exit code is what is known, and only the last line is shown beside it.
 */
function endingOf({ exitCode, message = "" }: { exitCode: number; message?: string }): string {
  const code = exitCode === 137 ? "exit code 137 (killed, or out of memory)" : `exit code ${exitCode}`;
  const line = message.trim().split("\n").at(-1) ?? "";
  return line === "" ? code : `${code}; the last line of its log: ${cut(line, 512)}`;
}

function parseLastWord(text: string | undefined): z.output<typeof lastWord> | undefined {
  if (text === undefined || !text.trimStart().startsWith("{")) return undefined;
  try {
    const parsed = lastWord.safeParse(JSON.parse(text));
    return parsed.success ? parsed.data : undefined;
  } catch {
    // A log line that only looks like JSON: the exit code is told instead.
    return undefined;
  }
}

/** Whether the main Service leads to routers or straight to the serving pods. */
export function readRouting(object: KubeObject | undefined): "Direct" | "Router" | undefined {
  const selector = (object as Service | undefined)?.spec?.selector;
  if (selector === undefined) return undefined;
  return selector[ROLE_LABEL] === "router" ? "Router" : "Direct";
}

export const ROUTER_CONFIG_KEY = "router.json";

/** The configuration in a router's ConfigMap; undefined where there is none, or none that routers would accept. */
export function readRouterConfig(object: KubeObject | undefined): SentConfig | undefined {
  const text = (object as ConfigMap | undefined)?.data?.[ROUTER_CONFIG_KEY];
  if (text === undefined) return undefined;
  try {
    const config: unknown = JSON.parse(text);
    // As it stands there, without defaults: its digest says whose it is.
    return routerConfig.safeParse(config).success ? (config as SentConfig) : undefined;
  } catch {
    // Somebody wrote over it; the next apply puts it right.
    return undefined;
  }
}
