import type { RouterConfig, RouterReport, TrackReport } from "../../../lib/config/router.ts";
import { NaruError } from "../../../lib/errors.ts";
import { emptyCounts, LATENCY_BOUNDS_MS, record } from "../../../lib/telemetry/histogram.ts";
import type { Cluster } from "../../../operator/engine/cluster.ts";
import type { ChildFailure, Decision } from "../../../operator/engine/kind.ts";
import { type KubeObject, refKey, refOf } from "../../../operator/engine/objects.ts";
import { decide } from "../../../operator/model-serving/decide.ts";
import { observe } from "../../../operator/model-serving/observe.ts";
import type { RouterClient } from "../../../operator/model-serving/router-client.ts";

/** Objects as JSON: the world reads fields as they come. */
// biome-ignore lint/suspicious/noExplicitAny: a model of the world, not of its types
type Any = Record<string, any>;

interface WorldPod {
  name: string;
  deployment: string;
  template: Any;
  ready: boolean;
  leaving: boolean;
  restarts: number;
  born: number;
  problem?: { container: string; code: string; message: string };
}

interface WorldRouter {
  config: RouterConfig | undefined;
  tracks: Map<string, TrackReport>;
  dead: boolean;
  held: number;
  lastRequest: number | undefined;
}

/** How a revision behaves, by the digest of its model. */
export interface Behaviour {
  readonly errorPerMille?: number;
  readonly milliseconds?: number;
  readonly divergedPerMille?: number;
  /** Its pods never become ready. */
  readonly stuck?: boolean;
  readonly restarts?: number;
  readonly problem?: { container: string; code: string; message: string };
}

/**
 * A model of what happens around the operator: Deployments make pods (one step of surge a tick), pods become ready,
 * routers apply what they are told and count, and what asks for pods that are not there is a lost request.
 */
export class World {
  now = Date.parse("2026-01-01T00:00:00.000Z");
  resource: KubeObject;
  readonly objects = new Map<string, KubeObject>();
  readonly pods: WorldPod[] = [];
  readonly routers = new Map<string, WorldRouter>();
  readonly behaviours = new Map<string, Behaviour>();
  readonly events: string[] = [];
  readonly serves = new Set<string>();
  /** Requests a tick. */
  load = 40;
  lost = 0;
  decisions = 0;
  failures: readonly ChildFailure[] = [];
  settings = { runtimeImage: "naru/runtime:1", namespace: "naru-system" };
  last: Decision | undefined;
  #serial = 0;
  #turn = 0;

  constructor(spec: Record<string, unknown>, name = "digits") {
    this.resource = {
      apiVersion: "naru.dev/v1alpha1",
      kind: "ModelServing",
      metadata: { name, namespace: "default", uid: "u1", generation: 1 },
      spec,
    };
  }

  get status(): Any {
    return (this.resource.status ?? {}) as Any;
  }

  condition(type: string): { status: string; reason: string; message: string } | undefined {
    const conditions = (this.status.conditions ?? []) as unknown as {
      type: string;
      status: string;
      reason: string;
      message: string;
    }[];
    return conditions.find((condition) => condition.type === type);
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

  object(kind: string, name: string): Any | undefined {
    return [...this.objects.values()].find(
      (object) => object.kind === kind && object.metadata.name === name,
    ) as Any | undefined;
  }

  /** One decision and its effects, in the engine's order. Checks that deciding on its own output changes nothing. */
  async reconcile(): Promise<Decision> {
    const decision = await this.#decide();
    this.resource = { ...this.resource, status: decision.status };
    this.events.push(...decision.events.map(({ reason }) => reason));
    this.#apply(decision);
    this.last = decision;
    this.decisions += 1;
    return decision;
  }

  /** The decision on what was decided: children and status are there, and nothing else has happened yet. */
  async decideAgain(): Promise<Decision> {
    return this.#decide({ ...this.#client, configure: async () => undefined });
  }

  /** One second: pods come up, routers carry requests, and the operator looks. */
  async tick(count = 1): Promise<void> {
    for (let turn = 0; turn < count; turn++) {
      await this.reconcile();
      this.now += 1000;
      this.#runDeployments();
      this.#carry();
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

  revisionOf(pod: WorldPod): string {
    return (pod.template.metadata as Any).labels["naru.dev/revision"] ?? "";
  }

  podsOf(deployment: string): WorldPod[] {
    return this.pods.filter((pod) => pod.deployment === deployment && !pod.leaving);
  }

  get cluster(): Cluster {
    const all = () => [...this.objects.values(), ...this.#podObjects()];
    const read: Pick<Cluster, "get" | "list" | "serves"> = {
      get: (ref) => this.objects.get(refKey(ref)),
      list: ({ kind, labels = {} }) =>
        all().filter(
          (object) =>
            object.kind === kind &&
            Object.entries(labels).every(([key, value]) => object.metadata.labels?.[key] === value),
        ),
      serves: ({ kind }) =>
        !["ScaledObject", "ServiceMonitor", "HTTPRoute", "GRPCRoute"].includes(kind) || this.serves.has(kind),
    };
    return read as Cluster;
  }

  async #decide(routers: RouterClient = this.#client): Promise<Decision> {
    const observed = await observe(
      this.resource,
      this.cluster,
      new AbortController().signal,
      [...this.objects.values()],
      { settings: this.settings, routers },
    );
    return decide(structuredClone(this.resource), observed, new Date(this.now), this.failures);
  }

  #apply(decision: Decision): void {
    const wanted = new Set(decision.children.map((child) => refKey(refOf(child))));
    for (const child of decision.children) {
      const key = refKey(refOf(child));
      const before = this.objects.get(key);
      const changed = JSON.stringify(before?.spec) !== JSON.stringify(child.spec);
      this.objects.set(key, {
        ...structuredClone(child),
        metadata: {
          ...structuredClone(child.metadata),
          generation: (before?.metadata.generation ?? 0) + (changed ? 1 : 0),
        },
        ...(before?.status === undefined ? {} : { status: before.status }),
      });
    }
    if (decision.prune === false) return;
    for (const key of [...this.objects.keys()]) if (!wanted.has(key)) this.objects.delete(key);
  }

  #runDeployments(): void {
    for (const pod of [...this.pods]) {
      if (pod.leaving || this.object("Deployment", pod.deployment) === undefined) this.#remove(pod);
    }
    for (const object of this.objects.values()) {
      if (object.kind !== "Deployment") continue;
      const spec = object.spec as Any;
      const template = spec.template as Any;
      const name = object.metadata.name;
      const text = JSON.stringify(template);
      const own = this.podsOf(name);
      const fresh = own.filter((pod) => JSON.stringify(pod.template) === text);
      const old = own.filter((pod) => !fresh.includes(pod));
      const replicas = spec.replicas as unknown as number;
      // Surge of one, and an old pod leaves only for a ready new one.
      if (fresh.length < replicas && own.length < replicas + 1) this.#create(name, template);
      else if (fresh.length > replicas) this.#leave(fresh[fresh.length - 1]);
      if (old.length > 0 && own.filter((pod) => pod.ready).length > replicas) this.#leave(old[0]);
      else if (old.length > 0 && replicas === 0) this.#leave(old[0]);
      for (const pod of this.podsOf(name)) this.#grow(pod);
      const now = this.podsOf(name);
      const updated = now.filter((pod) => JSON.stringify(pod.template) === text);
      object.status = {
        observedGeneration: object.metadata.generation ?? 1,
        replicas: now.length,
        updatedReplicas: updated.length,
        readyReplicas: now.filter((pod) => pod.ready).length,
        availableReplicas: now.filter((pod) => pod.ready).length,
        conditions: [],
      };
    }
  }

  #create(deployment: string, template: Any): void {
    this.#serial += 1;
    this.pods.push({
      name: `${deployment}-${this.#serial}`,
      deployment,
      template: structuredClone(template),
      ready: false,
      leaving: false,
      restarts: 0,
      born: this.now,
    });
  }

  #grow(pod: WorldPod): void {
    if (this.now - pod.born < 1000) return;
    const router = (pod.template.metadata as Any).labels["naru.dev/role"] === "router";
    if (router) {
      if (!this.routers.has(pod.name)) {
        const map = this.object("ConfigMap", `${this.resource.metadata.name}-router`);
        const text = (map?.data as Any | undefined)?.["router.json"];
        this.routers.set(pod.name, {
          config: text === undefined ? undefined : JSON.parse(text),
          tracks: new Map(),
          dead: false,
          held: 0,
          lastRequest: undefined,
        });
      }
      pod.ready = this.routers.get(pod.name)?.dead === false;
      return;
    }
    const behaviour = this.behaviourOf(this.revisionOf(pod));
    pod.restarts = behaviour.restarts ?? 0;
    if (behaviour.problem !== undefined) pod.problem = behaviour.problem;
    pod.ready = behaviour.stuck !== true && behaviour.problem === undefined;
  }

  behaviourOf(revision: string): Behaviour {
    const kept = this.object("ControllerRevision", `${this.resource.metadata.name}-${revision}`);
    const digest = (kept?.data as Any | undefined)?.modelDigest as unknown as string | undefined;
    return this.behaviours.get(digest ?? "") ?? {};
  }

  #leave(pod: WorldPod | undefined): void {
    if (pod === undefined) return;
    pod.leaving = true;
    pod.ready = false;
  }

  #remove(pod: WorldPod): void {
    this.pods.splice(this.pods.indexOf(pod), 1);
    this.routers.delete(pod.name);
  }

  /** Requests of one tick, through the main Service. */
  #carry(): void {
    const service = this.object("Service", this.resource.metadata.name);
    if (service === undefined) return;
    const selector = (service.spec as Any).selector as unknown as Record<string, string>;
    for (let request = 0; request < this.load; request++) {
      this.#turn += 1;
      const targets = this.pods.filter((pod) => pod.ready && matches(selector, pod));
      const target = targets[this.#turn % Math.max(targets.length, 1)];
      if (target === undefined) {
        if (this.status.revision !== undefined) this.lost += 1;
        continue;
      }
      const router = this.routers.get(target.name);
      if (router !== undefined) this.#route(router);
    }
  }

  #route(router: WorldRouter): void {
    const { config } = router;
    router.lastRequest = this.now;
    if (config === undefined) {
      this.lost += 1;
      return;
    }
    const canary = config.canary !== undefined && this.#turn % 100 < config.canary.weightPercent;
    const track = canary && config.canary !== undefined ? config.canary : config.stable;
    const ready = this.pods.filter(
      (pod) => pod.ready && matches(this.#trackSelector(canary ? "canary" : "stable"), pod),
    );
    const counted = this.#track(router, track.revision);
    counted.requests += 1;
    const [pod] = ready;
    if (pod === undefined) {
      if (config.hold !== undefined) router.held += 1;
      else {
        this.lost += 1;
        counted.errors += 1;
      }
      return;
    }
    router.held = 0;
    const behaviour = this.behaviourOf(this.revisionOf(pod));
    const failed = counted.requests % 1000 < (behaviour.errorPerMille ?? 0);
    if (failed) counted.errors += 1;
    record(counted.latencyCounts, behaviour.milliseconds ?? 5);
    if (!canary && config.canary !== undefined && config.mirror !== undefined) {
      const mirrored = this.#track(router, config.canary.revision);
      mirrored.mirrored += 1;
      const diverges = this.behaviourOf(config.canary.revision).divergedPerMille ?? 0;
      if (mirrored.mirrored % 1000 < diverges) mirrored.diverged += 1;
    }
  }

  #trackSelector(track: string): Record<string, string> {
    const service = this.object("Service", `${this.resource.metadata.name}-${track}`);
    return (
      ((service?.spec as Any | undefined)?.selector as Record<string, string> | undefined) ?? { none: "" }
    );
  }

  #track(router: WorldRouter, revision: string): TrackReport {
    let track = router.tracks.get(revision);
    if (track === undefined) {
      track = {
        revision,
        requests: 0,
        errors: 0,
        latencyCounts: emptyCounts(),
        mirrored: 0,
        diverged: 0,
        mirrorErrors: 0,
      };
      router.tracks.set(revision, track);
    }
    return track;
  }

  readonly #client: RouterClient = {
    status: async (address) => {
      const router = this.routers.get(address.split(":")[0] ?? "");
      if (router === undefined || router.dead) throw unreachable();
      const report: RouterReport = {
        generation: router.config?.generation ?? "",
        ready: true,
        latencyBounds: [...LATENCY_BOUNDS_MS],
        tracks: [...router.tracks.values()].map((track) => structuredClone(track)),
        held: router.held,
        inFlight: 0,
        idleMilliseconds: router.lastRequest === undefined ? null : this.now - router.lastRequest,
      };
      return report;
    },
    configure: async (address, config) => {
      const router = this.routers.get(address.split(":")[0] ?? "");
      if (router === undefined || router.dead) throw unreachable();
      router.config = config;
      router.tracks = new Map();
    },
  };

  #podObjects(): KubeObject[] {
    return this.pods.map((pod) => {
      const spec = pod.template.spec as Any;
      const failed =
        pod.problem === undefined
          ? {}
          : { lastState: { terminated: { exitCode: 1, message: JSON.stringify(pod.problem) } } };
      return {
        apiVersion: "v1",
        kind: "Pod",
        metadata: {
          name: pod.name,
          namespace: "default",
          labels: (pod.template.metadata as Any).labels,
          ...(pod.leaving ? { deletionTimestamp: new Date(this.now).toISOString() } : {}),
        },
        spec,
        status: {
          podIP: pod.name,
          conditions: [
            {
              type: "Ready",
              status: pod.ready ? "True" : "False",
              lastTransitionTime: new Date(pod.born + 1000).toISOString(),
            },
          ],
          initContainerStatuses:
            pod.problem === undefined ? [] : [{ name: pod.problem.container, ready: false, ...failed }],
          containerStatuses: [{ name: "server", ready: pod.ready, restartCount: pod.restarts }],
        },
      } as unknown as KubeObject;
    });
  }
}

function matches(selector: Record<string, string>, pod: WorldPod): boolean {
  const labels = (pod.template.metadata as Any).labels as unknown as Record<string, string>;
  return Object.entries(selector).every(([key, value]) => labels[key] === value);
}

function unreachable(): NaruError {
  return new NaruError({ code: "RouterUnreachable", message: "gone", remedy: "none", status: 503 });
}
