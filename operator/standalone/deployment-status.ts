import { rfc3339 } from "../engine/conditions.ts";
import type { Condition } from "../engine/objects.ts";
import type { PodTemplate } from "./pod-template.ts";
import { type RolloutPod, resolveAmount } from "./rollout.ts";

/** The parts of a DeploymentSpec that standalone acts on. */
export interface DeploymentSpec {
  replicas?: number;
  template: PodTemplate;
  strategy?: {
    type?: "RollingUpdate" | "Recreate";
    rollingUpdate?: { maxSurge?: number | string; maxUnavailable?: number | string };
  };
  minReadySeconds?: number;
  progressDeadlineSeconds?: number;
}

/** apps/v1 DeploymentCondition: `lastUpdateTime` of Progressing is when something last moved. */
export interface DeploymentCondition extends Condition {
  lastUpdateTime: string;
}

export interface DeploymentStatus {
  observedGeneration: number;
  replicas: number;
  updatedReplicas: number;
  readyReplicas: number;
  availableReplicas: number;
  unavailableReplicas: number;
  conditions: DeploymentCondition[];
}

export function isComplete(status: DeploymentStatus, replicas: number): boolean {
  const { updatedReplicas, availableReplicas } = status;
  return updatedReplicas === replicas && status.replicas === replicas && availableReplicas === replicas;
}

/** The status of a Deployment by its pods, with the conditions and reasons of Kubernetes' deployment controller. */
export function deploymentStatus(input: {
  spec: DeploymentSpec;
  generation: number;
  /** The name that Kubernetes' ReplicaSet of this template would have. */
  replicaSet: string;
  /** Those that are not ending. */
  pods: readonly RolloutPod[];
  before: DeploymentStatus | undefined;
  now: Date;
}): DeploymentStatus {
  const { spec, generation, replicaSet, pods, before } = input;
  const replicas = spec.replicas ?? 1;
  const count = (of: (pod: RolloutPod) => boolean) => pods.filter(of).length;
  const available = count((pod) => pod.available);
  const status: DeploymentStatus = {
    observedGeneration: generation,
    replicas: pods.length,
    updatedReplicas: count((pod) => pod.current),
    readyReplicas: count((pod) => pod.ready),
    availableReplicas: available,
    unavailableReplicas: Math.max(0, replicas - available),
    conditions: [],
  };

  const now = rfc3339(input.now);
  const condition = (type: string, holds: boolean, reason: string, message: string, moved = false) => {
    const old = before?.conditions.find((candidate) => candidate.type === type);
    const value = holds ? "True" : "False";
    const same = old?.status === value && old.reason === reason;
    status.conditions.push({
      type,
      status: value,
      reason,
      message,
      lastTransitionTime: old?.status === value ? old.lastTransitionTime : now,
      lastUpdateTime: same && !moved ? old.lastUpdateTime : now,
    });
  };

  const allowed = spec.strategy?.rollingUpdate?.maxUnavailable ?? "25%";
  const maxUnavailable =
    spec.strategy?.type === "Recreate" ? 0 : resolveAmount(allowed, replicas, Math.floor);
  if (status.unavailableReplicas <= maxUnavailable) {
    condition("Available", true, "MinimumReplicasAvailable", "Deployment has minimum availability.");
  } else {
    condition(
      "Available",
      false,
      "MinimumReplicasUnavailable",
      "Deployment does not have minimum availability.",
    );
  }

  const progressing = before?.conditions.find(({ type }) => type === "Progressing");
  const moved = hasMoved(status, before);
  const sinceMoved = Date.parse(now) - Date.parse(progressing?.lastUpdateTime ?? now);
  const late = sinceMoved > (spec.progressDeadlineSeconds ?? 600) * 1000 || progressing?.status === "False";
  // Once complete, a pod that fails later is no failed rollout.
  const done = progressing?.reason === "NewReplicaSetAvailable" && before?.observedGeneration === generation;
  if (done || isComplete(status, replicas)) {
    const message = `ReplicaSet "${replicaSet}" has successfully progressed.`;
    condition("Progressing", true, "NewReplicaSetAvailable", message);
  } else if (late && !moved) {
    const message = `ReplicaSet "${replicaSet}" has timed out progressing.`;
    condition("Progressing", false, "ProgressDeadlineExceeded", message);
  } else {
    condition("Progressing", true, "ReplicaSetUpdated", `ReplicaSet "${replicaSet}" is progressing.`, moved);
  }
  return status;
}

/** Whether the rollout came nearer to its end: what the progress deadline counts from. */
function hasMoved(now: DeploymentStatus, before: DeploymentStatus | undefined): boolean {
  return (
    before === undefined ||
    before.observedGeneration !== now.observedGeneration ||
    now.updatedReplicas > before.updatedReplicas ||
    now.replicas - now.updatedReplicas < before.replicas - before.updatedReplicas ||
    now.readyReplicas > before.readyReplicas ||
    now.availableReplicas > before.availableReplicas
  );
}
