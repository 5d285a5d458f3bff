import { status } from "../../../crds/model-serving/status.ts";
import type { ModelServingStatus } from "../../../crds/model-serving.ts";
import type { Cluster } from "../../../operator/engine/cluster.ts";
import type { ChildFailure, Decision } from "../../../operator/engine/kind.ts";
import type { KubeObject } from "../../../operator/engine/objects.ts";
import { decide } from "../../../operator/model-serving/decide.ts";
import { observe } from "../../../operator/model-serving/observe.ts";
import type { RouterClient } from "../../../operator/model-serving/router-client.ts";
import type { OperatorSettings } from "../../../operator/model-serving/settings.ts";
import { WorldObjects } from "./world/objects.ts";
import { type WorldPod, WorldPods } from "./world/pods.ts";
import { WorldTraffic } from "./world/traffic.ts";

/** Kinds that a cluster has only where somebody installed them. */
const ADD_ONS = ["ScaledObject", "ServiceMonitor", "HTTPRoute", "GRPCRoute"];

type Condition = NonNullable<ModelServingStatus["conditions"]>[number];

/**
 * A model of what happens around the operator: Deployments make pods, pods become ready, routers apply what they are
 * told and count, and what asks for pods that are not there is a lost request.
 */
export class World {
  now = Date.parse("2026-01-01T00:00:00.000Z");
  resource: KubeObject;
  readonly objects = new WorldObjects();
  readonly pods: WorldPods;
  readonly traffic: WorldTraffic;
  /** Reasons of all events so far. */
  readonly events: string[] = [];
  /** Add-ons that are installed. */
  readonly serves = new Set<string>();
  /** Kinds that the API server fails to list: none of their objects is seen. */
  readonly hides = new Set<string>();
  /** Requests a second. */
  load = 40;
  failures: readonly ChildFailure[] = [];
  settings: OperatorSettings = { runtimeImage: "naru/runtime:1", namespace: "naru-system" };

  routerKeys = ["A".repeat(43)];

  constructor(spec: Record<string, unknown>, name = "digits") {
    this.resource = {
      apiVersion: "naru.dev/v1alpha1",
      kind: "ModelServing",
      metadata: { name, namespace: "default", uid: "u1", generation: 1 },
      spec,
    };
    this.pods = new WorldPods(this.objects, name);
    this.traffic = new WorldTraffic(this.objects, this.pods, name, () => this.now);
  }

  get status(): ModelServingStatus {
    return status.parse(this.resource.status ?? {});
  }

  get lost(): number {
    return this.traffic.lost;
  }

  condition(type: string): Condition | undefined {
    return this.status.conditions?.find((condition) => condition.type === type);
  }

  set(spec: Record<string, unknown>): void {
    const { metadata } = this.resource;
    const generation = (metadata.generation ?? 1) + 1;
    this.resource = { ...this.resource, spec, metadata: { ...metadata, generation } };
  }

  annotate(annotations: Record<string, string>): void {
    const { metadata } = this.resource;
    this.resource = { ...this.resource, metadata: { ...metadata, annotations } };
  }

  podsOf(deployment: string): WorldPod[] {
    return this.pods.of(deployment);
  }

  /** One decision and its effects, in the engine's order. */
  async reconcile(): Promise<Decision> {
    const decision = await this.#decide();
    this.resource = { ...this.resource, status: decision.status };
    this.events.push(...decision.events.map(({ reason }) => reason));
    const served = decision.children.filter(({ kind }) => this.#isServed(kind) && !this.hides.has(kind));
    for (const child of served) this.objects.apply(child);
    if (decision.prune !== false) this.objects.prune(served);
    return decision;
  }

  /** The decision on what was decided: children and status are there, and nothing else has happened yet. */
  async decideAgain(): Promise<Decision> {
    return this.#decide({ ...this.traffic.client, configure: async () => undefined });
  }

  /** One second: the operator looks, pods come up, routers carry requests. */
  async tick(count = 1): Promise<void> {
    for (let turn = 0; turn < count; turn++) {
      await this.reconcile();
      this.now += 1000;
      this.pods.run(this.now, this.traffic);
      this.traffic.carry(this.load, this.status.revision !== undefined);
    }
  }

  /** Ticks until it holds; throws with the status if it never does. */
  async until(what: string, holds: () => boolean, most = 120): Promise<void> {
    for (let turn = 0; turn < most; turn++) {
      if (holds()) return;
      await this.tick();
    }
    throw new Error(`never: ${what}\n${JSON.stringify(this.status, null, 1)}\n${this.events.join(" ")}`);
  }

  async #decide(routers: RouterClient = this.traffic.client): Promise<Decision> {
    const { signal } = new AbortController();
    const environment = { settings: this.settings, routerKeys: this.routerKeys, routers };
    const observed = await observe(this.resource, this.#cluster(), signal, this.objects.all(), environment);
    return decide(structuredClone(this.resource), observed, new Date(this.now), this.failures);
  }

  /** As much of a cluster as observing asks for. */
  #cluster(): Cluster {
    const read: Pick<Cluster, "list" | "serves" | "hides"> = {
      list: ({ kind, labels = {} }) =>
        [...this.objects.all(), ...this.pods.asObjects(this.now)].filter(
          (object) =>
            object.kind === kind &&
            Object.entries(labels).every(([key, value]) => object.metadata.labels?.[key] === value),
        ),
      serves: ({ kind }) => this.#isServed(kind) && !this.hides.has(kind),
      hides: ({ kind }) => this.hides.has(kind),
    };
    return read as Cluster;
  }

  #isServed(kind: string): boolean {
    return !ADD_ONS.includes(kind) || this.serves.has(kind);
  }
}
