import type { PodTemplateSpec } from "kubernetes-types/core/v1.js";
import type { KubeObject } from "../../../../operator/engine/objects.ts";
import { madeBy } from "../../../support/made-by.ts";
import type { WorldObject, WorldObjects } from "./objects.ts";

export interface WorldPod {
  readonly name: string;
  readonly deployment: string;
  readonly template: PodTemplateSpec;
  readonly born: number;
  /** When the scheduler found a place for it. */
  placed: number | undefined;
  ready: boolean;
  leaving: boolean;
  restarts: number;
  problem?: Problem;
}

interface Problem {
  readonly container: string;
  readonly code: string;
  readonly message: string;
}

/** How pods behave, by the digest of their model or the name of their Deployment. */
export interface Behaviour {
  readonly errorPerMille?: number;
  readonly milliseconds?: number;
  readonly divergedPerMille?: number;
  /** They never become ready. */
  readonly stuck?: boolean;
  readonly restarts?: number;
  readonly problem?: Problem;
}

/** What runs in a router's pod. */
interface Routers {
  isReady(pod: string): boolean;
  end(pod: string): void;
}

/** What a container needs before it is ready. */
const STARTUP_MILLISECONDS = 1000;

/** Deployments, the scheduler and the kubelets: one pod more or less a Deployment and second. */
export class WorldPods {
  readonly all: WorldPod[] = [];
  readonly behaviours = new Map<string, Behaviour>();
  /** Serving pods that there is room for. */
  places = Number.POSITIVE_INFINITY;
  /** The API server's words, while it takes no new pod. */
  refused: string | undefined;
  /** Serving pods that the API server takes. */
  quota = Number.POSITIVE_INFINITY;
  readonly #objects: WorldObjects;
  readonly #resource: string;
  /** What was said of the last pod that a Deployment could not make. */
  readonly #refusals = new Map<string, string>();
  #serial = 0;

  constructor(objects: WorldObjects, resource: string) {
    this.#objects = objects;
    this.#resource = resource;
  }

  /** Those of a Deployment that are to stay. */
  of(deployment: string): WorldPod[] {
    return this.all.filter((pod) => pod.deployment === deployment && !pod.leaving);
  }

  behaviourOf(pod: WorldPod): Behaviour {
    return this.behaviours.get(pod.deployment) ?? this.behaviourOfRevision(revisionOf(pod));
  }

  behaviourOfRevision(revision: string): Behaviour {
    const kept = this.#objects.get("ControllerRevision", `${this.#resource}-${revision}`);
    return this.behaviours.get(kept?.data.modelDigest ?? "") ?? {};
  }

  /** The Eviction API, or a drained node: the pod leaves, whatever its Deployment wants. */
  evict(deployment: string): void {
    for (const pod of this.of(deployment)) leave(pod);
  }

  /** One second. A router is ready by its own word, and ends with its pod. */
  run(now: number, routers: Routers): void {
    for (const pod of [...this.all]) {
      if (!pod.leaving && this.#objects.get("Deployment", pod.deployment) !== undefined) continue;
      this.all.splice(this.all.indexOf(pod), 1);
      routers.end(pod.name);
    }
    for (const deployment of this.#objects.deployments()) {
      const name = deployment.metadata.name;
      this.#replace(deployment, now);
      for (const pod of this.of(name)) this.#start(pod, now, routers);
      const left = this.of(name);
      const ready = left.filter((pod) => pod.ready).length;
      deployment.status = {
        observedGeneration: deployment.metadata.generation ?? 1,
        replicas: left.length,
        updatedReplicas: left.filter((pod) => isOf(pod, deployment)).length,
        readyReplicas: ready,
        availableReplicas: ready,
        conditions: this.#conditionsOf(name),
      };
    }
  }

  /** A rolling update, as its strategy allows: new pods within the surge, old ones leave for those that are ready. */
  #replace(deployment: WorldObject<"Deployment">, now: number): void {
    const { metadata, spec } = deployment;
    if (spec === undefined) return;
    const { replicas = 1, template, strategy } = spec;
    const { maxSurge = 1, maxUnavailable = 0 } = strategy?.rollingUpdate ?? {};
    const most = replicas + share(maxSurge, replicas);
    const least = replicas - share(maxUnavailable, replicas);
    const own = this.of(metadata.name);
    const fresh = own.filter((pod) => isOf(pod, deployment));
    const [old] = own.filter((pod) => !fresh.includes(pod));
    this.#refusals.delete(metadata.name);
    if (fresh.length < replicas && own.length < most) {
      const refusal = this.#refusalOf(template);
      if (refusal === undefined) this.#create(metadata.name, template, now);
      else this.#refusals.set(metadata.name, refusal);
    } else if (fresh.length > replicas) leave(fresh.at(-1));
    if (own.filter((pod) => pod.ready).length > least || replicas === 0) leave(old);
  }

  #refusalOf(template: PodTemplateSpec): string | undefined {
    if (this.refused !== undefined || isRouter({ template })) return this.refused;
    const serving = this.all.filter((pod) => !isRouter(pod)).length;
    if (serving < this.quota) return undefined;
    return `exceeded quota: gpus, requested: 1, used: ${serving}, limited: ${this.quota}`;
  }

  #conditionsOf(deployment: string) {
    const message = this.#refusals.get(deployment);
    return message === undefined
      ? []
      : [{ type: "ReplicaFailure", status: "True", reason: "FailedCreate", message }];
  }

  #create(deployment: string, template: PodTemplateSpec, born: number): void {
    this.#serial += 1;
    this.all.push({
      name: `${deployment}-${this.#serial}`,
      deployment,
      template: structuredClone(template),
      born,
      placed: undefined,
      ready: false,
      leaving: false,
      restarts: 0,
    });
  }

  #start(pod: WorldPod, now: number, routers: Routers): void {
    const router = isRouter(pod);
    const taken = this.all.filter((one) => one.placed !== undefined && !isRouter(one)).length;
    if (pod.placed === undefined && (router || taken < this.places)) pod.placed = now;
    if (pod.placed === undefined || now - pod.born < STARTUP_MILLISECONDS) return;
    if (router) {
      pod.ready = routers.isReady(pod.name);
      return;
    }
    const { restarts = 0, problem, stuck } = this.behaviourOf(pod);
    pod.restarts = restarts;
    if (problem !== undefined) pod.problem = problem;
    pod.ready = stuck !== true && problem === undefined;
  }

  /** As a kubelet and the scheduler tell of them. */
  asObjects(now: number): KubeObject[] {
    return this.all.map((pod) => {
      const { problem } = pod;
      const lastState =
        problem === undefined
          ? {}
          : { lastState: { terminated: { exitCode: 1, message: JSON.stringify(problem) } } };
      const ready = {
        type: "Ready",
        status: pod.ready ? "True" : "False",
        lastTransitionTime: new Date(pod.born + STARTUP_MILLISECONDS).toISOString(),
      };
      const scheduled =
        pod.placed === undefined
          ? { type: "PodScheduled", status: "False", reason: "Unschedulable", message: "no GPU is free" }
          : { type: "PodScheduled", status: "True" };
      const { labels } = pod.template.metadata ?? {};
      return {
        apiVersion: "v1",
        kind: "Pod",
        metadata: {
          name: pod.name,
          namespace: "default",
          ...madeBy(pod.deployment, labels),
          creationTimestamp: new Date(pod.born).toISOString(),
          ...(pod.leaving ? { deletionTimestamp: new Date(now).toISOString() } : {}),
        },
        spec: pod.template.spec,
        status: {
          podIP: pod.name,
          conditions: [ready, scheduled],
          initContainerStatuses:
            problem === undefined ? [] : [{ name: problem.container, ready: false, ...lastState }],
          containerStatuses: [{ name: "server", ready: pod.ready, restartCount: pod.restarts }],
        },
      };
    });
  }
}

export function revisionOf({ template }: WorldPod): string {
  return template.metadata?.labels?.["naru.dev/revision"] ?? "";
}

function isRouter({ template }: Pick<WorldPod, "template">): boolean {
  return template.metadata?.labels?.["naru.dev/role"] === "router";
}

function isOf(pod: WorldPod, { spec }: WorldObject<"Deployment">): boolean {
  return JSON.stringify(pod.template) === JSON.stringify(spec?.template);
}

function leave(pod: WorldPod | undefined): void {
  if (pod === undefined) return;
  pod.leaving = true;
  pod.ready = false;
}

/** maxSurge or maxUnavailable in pods; a percentage is rounded up. */
function share(amount: number | string, replicas: number): number {
  return typeof amount === "number" ? amount : Math.ceil((Number.parseInt(amount, 10) * replicas) / 100);
}
