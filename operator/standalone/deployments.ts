import type { Condition, KubeObject } from "../engine/objects.ts";
import { refOf } from "../engine/objects.ts";
import { type PodTemplate, podFrom, templateHash } from "./pod-template.ts";
import { asPod, conditionOf, isFinished, isReady, type Pod, podKind } from "./pod-types.ts";
import { planRollout, type RolloutPod } from "./rollout.ts";
import { type Store, timestamp } from "./store.ts";

interface DeploymentSpec {
  replicas?: number;
  template: PodTemplate;
  strategy?: {
    type?: "RollingUpdate" | "Recreate";
    rollingUpdate?: { maxSurge?: number | string; maxUnavailable?: number | string };
  };
  minReadySeconds?: number;
  progressDeadlineSeconds?: number;
}

interface DeploymentCondition extends Condition {
  lastUpdateTime: string;
}

interface DeploymentStatus {
  observedGeneration: number;
  replicas: number;
  updatedReplicas: number;
  readyReplicas: number;
  availableReplicas: number;
  unavailableReplicas: number;
  conditions: DeploymentCondition[];
}

export const deploymentKind = { apiVersion: "apps/v1", kind: "Deployment" } as const;
const hashLabel = "pod-template-hash";
const recheckMilliseconds = 1_000;

/** Kubernetes' deployment and replica set controllers in one: Deployments → Pods, and the Deployments' status. */
export class Deployments {
  readonly #store: Store;
  readonly #now: () => Date;
  readonly #watches: { stop(): void }[];
  #scheduled = false;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(store: Store, now: () => Date) {
    this.#store = store;
    this.#now = now;
    this.#watches = [deploymentKind, podKind].map((kind) => store.watch(kind, () => this.#schedule()));
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    for (const watch of this.#watches) watch.stop();
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      if (this.#closed) return;
      clearTimeout(this.#timer);
      let waiting = false;
      for (const deployment of this.#store.list(deploymentKind)) waiting = this.#sync(deployment) || waiting;
      // minReadySeconds and the progress deadline pass without any event.
      if (waiting) this.#timer = setTimeout(() => this.#schedule(), recheckMilliseconds);
    });
  }

  /** Answers whether time alone can change the outcome. */
  #sync(deployment: KubeObject): boolean {
    const spec = deployment.spec as DeploymentSpec;
    const { name, namespace = "default", uid } = deployment.metadata;
    const hash = templateHash(spec.template);
    const isOwn = (pod: Pod) => pod.metadata.ownerReferences?.some((owner) => owner.uid === uid) === true;
    const all = this.#store
      .list({ ...podKind, namespace })
      .map(asPod)
      .filter(isOwn);
    const alive = all.filter((pod) => pod.metadata.deletionTimestamp === undefined && !isFinished(pod));
    const isCurrent = (pod: Pod) => pod.metadata.labels?.[hashLabel] === hash;
    const plan = planRollout(
      {
        replicas: spec.replicas ?? 1,
        strategy: spec.strategy?.type ?? "RollingUpdate",
        maxSurge: spec.strategy?.rollingUpdate?.maxSurge ?? "25%",
        maxUnavailable: spec.strategy?.rollingUpdate?.maxUnavailable ?? "25%",
      },
      alive.map((pod) => this.#seen(pod, isCurrent(pod), spec.minReadySeconds ?? 0)),
      all.filter((pod) => !isCurrent(pod) && pod.metadata.deletionTimestamp !== undefined).length,
    );
    for (const podName of plan.remove) this.#store.delete({ ...podKind, namespace, name: podName });
    for (const pod of all) if (isFinished(pod)) this.#store.delete(refOf(pod));
    for (let index = 0; index < plan.create; index += 1) {
      this.#store.create(podFrom(deployment, spec.template, `${name}-${hash}`, { [hashLabel]: hash }));
    }
    return this.#report(deployment, hash);
  }

  #seen(pod: Pod, current: boolean, minReadySeconds: number): RolloutPod {
    const ready = isReady(pod);
    const since = Date.parse(conditionOf(pod, "Ready")?.lastTransitionTime ?? "");
    const available = ready && this.#now().getTime() - since >= minReadySeconds * 1000;
    return {
      name: pod.metadata.name,
      current,
      ready,
      available,
      created: Date.parse(pod.metadata.creationTimestamp ?? ""),
    };
  }

  #report(deployment: KubeObject, hash: string): boolean {
    const spec = deployment.spec as DeploymentSpec;
    const before = deployment.status as DeploymentStatus | undefined;
    const replicas = spec.replicas ?? 1;
    const { namespace = "default", uid } = deployment.metadata;
    const pods = this.#store
      .list({ ...podKind, namespace })
      .map(asPod)
      .filter((pod) => pod.metadata.ownerReferences?.some((owner) => owner.uid === uid))
      .filter((pod) => pod.metadata.deletionTimestamp === undefined && !isFinished(pod))
      .map((pod) => this.#seen(pod, pod.metadata.labels?.[hashLabel] === hash, spec.minReadySeconds ?? 0));
    const count = (of: (pod: RolloutPod) => boolean) => pods.filter(of).length;
    const counts = {
      replicas: pods.length,
      updatedReplicas: count((pod) => pod.current),
      readyReplicas: count((pod) => pod.ready),
      availableReplicas: count((pod) => pod.available),
      unavailableReplicas: Math.max(0, replicas - count((pod) => pod.available)),
    };
    const complete =
      counts.updatedReplicas === replicas &&
      counts.replicas === replicas &&
      counts.availableReplicas === replicas;
    const moved =
      before === undefined ||
      before.observedGeneration !== deployment.metadata.generation ||
      counts.updatedReplicas > before.updatedReplicas ||
      counts.replicas - counts.updatedReplicas < before.replicas - before.updatedReplicas ||
      counts.readyReplicas > before.readyReplicas ||
      counts.availableReplicas > before.availableReplicas;
    const now = timestamp(this.#now());
    const progressing = before?.conditions.find(({ type }) => type === "Progressing");
    const deadline = (spec.progressDeadlineSeconds ?? 600) * 1000;
    const late = !moved && Date.parse(now) - Date.parse(progressing?.lastUpdateTime ?? now) > deadline;
    const condition = (
      type: string,
      holds: boolean,
      reason: string,
      message: string,
      updated: boolean,
    ): DeploymentCondition => {
      const status = holds ? "True" : "False";
      const old = before?.conditions.find((candidate) => candidate.type === type);
      const same = old?.status === status && old.reason === reason;
      return {
        type,
        status,
        reason,
        message,
        lastTransitionTime: old?.status === status ? old.lastTransitionTime : now,
        lastUpdateTime: same && !updated ? old.lastUpdateTime : now,
      };
    };
    const { name } = deployment.metadata;
    const available = counts.unavailableReplicas <= this.#maxUnavailable(spec, replicas);
    // Once complete, a pod that fails later is no failed rollout.
    const done =
      complete ||
      (progressing?.reason === "NewReplicaSetAvailable" &&
        before?.observedGeneration === deployment.metadata.generation);
    const status: DeploymentStatus = {
      observedGeneration: deployment.metadata.generation ?? 1,
      ...counts,
      conditions: [
        available
          ? condition(
              "Available",
              true,
              "MinimumReplicasAvailable",
              "Deployment has minimum availability.",
              false,
            )
          : condition(
              "Available",
              false,
              "MinimumReplicasUnavailable",
              "Deployment does not have minimum availability.",
              false,
            ),
        done
          ? condition(
              "Progressing",
              true,
              "NewReplicaSetAvailable",
              `"${name}-${hash}" has successfully progressed.`,
              false,
            )
          : late || (progressing?.status === "False" && !moved)
            ? condition(
                "Progressing",
                false,
                "ProgressDeadlineExceeded",
                `"${name}-${hash}" has timed out progressing.`,
                false,
              )
            : condition("Progressing", true, "ReplicaSetUpdated", `"${name}-${hash}" is progressing.`, moved),
      ],
    };
    this.#store.update(refOf(deployment), (draft) => {
      draft.status = status;
    });
    return !complete;
  }

  #maxUnavailable(spec: DeploymentSpec, replicas: number): number {
    const value =
      spec.strategy?.type === "Recreate" ? 0 : (spec.strategy?.rollingUpdate?.maxUnavailable ?? "25%");
    return typeof value === "number" ? value : Math.floor((Number.parseInt(value, 10) * replicas) / 100);
  }
}
