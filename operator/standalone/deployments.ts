import { controllerOf, type KubeObject, refOf } from "../engine/objects.ts";
import {
  type DeploymentSpec,
  type DeploymentStatus,
  deploymentStatus,
  isComplete,
} from "./deployment-status.ts";
import { podFrom, templateHash } from "./pod-template.ts";
import { asPod, conditionOf, isFinished, isReady, type Pod, podKind } from "./pod-types.ts";
import { planRollout, type RolloutPod } from "./rollout.ts";
import type { Store } from "./store.ts";

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
      const waiting = this.#store.list(deploymentKind).filter((deployment) => this.#sync(deployment));
      // minReadySeconds and the progress deadline pass without any event.
      if (waiting.length > 0) this.#timer = setTimeout(() => this.#schedule(), recheckMilliseconds);
    });
  }

  /** Answers whether time alone can change the outcome. */
  #sync(deployment: KubeObject): boolean {
    const spec = deployment.spec as DeploymentSpec;
    const { name, namespace = "default" } = deployment.metadata;
    const hash = templateHash(spec.template);
    const replicas = spec.replicas ?? 1;
    const see = (pod: Pod): RolloutPod => this.#seen(pod, pod.metadata.labels?.[hashLabel] === hash, spec);

    const pods = this.#podsOf(deployment);
    const ending = pods.filter((pod) => pod.metadata.deletionTimestamp !== undefined);
    const plan = planRollout(
      {
        replicas,
        strategy: spec.strategy?.type ?? "RollingUpdate",
        maxSurge: spec.strategy?.rollingUpdate?.maxSurge ?? "25%",
        maxUnavailable: spec.strategy?.rollingUpdate?.maxUnavailable ?? "25%",
      },
      pods.filter(isAlive).map(see),
      ending.filter((pod) => !see(pod).current).length,
    );
    for (const podName of plan.remove) this.#store.delete({ ...podKind, namespace, name: podName });
    for (const pod of pods) if (isFinished(pod)) this.#store.delete(refOf(pod));
    for (let index = 0; index < plan.create; index += 1) {
      this.#store.create(podFrom(deployment, spec.template, `${name}-${hash}`, { [hashLabel]: hash }));
    }

    const status = deploymentStatus({
      spec,
      generation: deployment.metadata.generation ?? 1,
      replicaSet: `${name}-${hash}`,
      pods: this.#podsOf(deployment).filter(isAlive).map(see),
      before: deployment.status as DeploymentStatus | undefined,
      now: this.#now(),
    });
    this.#store.update(refOf(deployment), (draft) => {
      draft.status = status;
    });
    return !isComplete(status, replicas);
  }

  #podsOf({ metadata: { namespace = "default", uid } }: KubeObject): Pod[] {
    const pods = this.#store.list({ ...podKind, namespace }).map(asPod);
    return pods.filter((pod) => controllerOf(pod)?.uid === uid);
  }

  #seen(pod: Pod, current: boolean, spec: DeploymentSpec): RolloutPod {
    const ready = isReady(pod);
    const since = Date.parse(conditionOf(pod, "Ready")?.lastTransitionTime ?? "");
    const available = ready && this.#now().getTime() - since >= (spec.minReadySeconds ?? 0) * 1000;
    const created = Date.parse(pod.metadata.creationTimestamp ?? "");
    return { name: pod.metadata.name, current, ready, available, created };
  }
}

function isAlive(pod: Pod): boolean {
  return pod.metadata.deletionTimestamp === undefined && !isFinished(pod);
}
