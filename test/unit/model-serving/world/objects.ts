import type { ControllerRevision, Deployment } from "kubernetes-types/apps/v1.js";
import type { HorizontalPodAutoscaler } from "kubernetes-types/autoscaling/v2.js";
import type { ConfigMap, Service } from "kubernetes-types/core/v1.js";
import type { NetworkPolicy } from "kubernetes-types/networking/v1.js";
import type { PodDisruptionBudget } from "kubernetes-types/policy/v1.js";
import { type KubeObject, refKey, refOf } from "../../../../operator/engine/objects.ts";
import type { RevisionInput } from "../../../../operator/model-serving/revision.ts";

/** What the kinds of children look like; of those that Kubernetes doesn't have itself, what is asked of them here. */
interface Kinds {
  ConfigMap: ConfigMap;
  ControllerRevision: Omit<ControllerRevision, "data"> & { data: RevisionInput };
  Deployment: Deployment;
  HorizontalPodAutoscaler: HorizontalPodAutoscaler;
  NetworkPolicy: NetworkPolicy;
  PodDisruptionBudget: PodDisruptionBudget;
  Service: Service;
  ScaledObject: {
    spec: { triggers: { type: string; metricType: string; metadata: Record<string, unknown> }[] };
  };
  ServiceMonitor: { spec: { endpoints: { targetPort: string; path: string; relabelings?: unknown[] }[] } };
  HTTPRoute: unknown;
  GRPCRoute: unknown;
}

export type WorldObject<K extends keyof Kinds> = KubeObject & Kinds[K];

/** The children as an API server keeps them: `generation` counts changes of `spec`, `status` stays. */
export class WorldObjects {
  readonly #stored = new Map<string, KubeObject>();

  get size(): number {
    return this.#stored.size;
  }

  all(): KubeObject[] {
    return [...this.#stored.values()];
  }

  get<K extends keyof Kinds>(kind: K, name: string): WorldObject<K> | undefined {
    return this.all().find((object) => object.kind === kind && object.metadata.name === name) as
      | WorldObject<K>
      | undefined;
  }

  deployments(): WorldObject<"Deployment">[] {
    return this.all().filter(({ kind }) => kind === "Deployment") as WorldObject<"Deployment">[];
  }

  apply(child: KubeObject): void {
    const key = refKey(refOf(child));
    const before = this.#stored.get(key);
    const changed = JSON.stringify(before?.spec) !== JSON.stringify(child.spec);
    const { metadata, ...rest } = structuredClone(child);
    this.#stored.set(key, {
      ...rest,
      metadata: { ...metadata, generation: (before?.metadata.generation ?? 0) + (changed ? 1 : 0) },
      ...(before?.status === undefined ? {} : { status: before.status }),
    });
  }

  prune(wanted: readonly KubeObject[]): void {
    const keys = new Set(wanted.map((child) => refKey(refOf(child))));
    for (const key of [...this.#stored.keys()]) if (!keys.has(key)) this.#stored.delete(key);
  }
}
