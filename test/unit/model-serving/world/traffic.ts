import {
  type RouterConfig,
  type RouterReport,
  routerConfig,
  type TrackReport,
} from "../../../../lib/config/router.ts";
import { NaruError } from "../../../../lib/errors.ts";
import { emptyCounts, LATENCY_BOUNDS_MS, record } from "../../../../lib/telemetry/histogram.ts";
import type { PushRefusal } from "../../../../operator/model-serving/observed.ts";
import type { RouterClient } from "../../../../operator/model-serving/router-client.ts";
import type { WorldObjects } from "./objects.ts";
import { revisionOf, type WorldPod, type WorldPods } from "./pods.ts";

export interface WorldRouter {
  config: RouterConfig | undefined;
  tracks: Map<string, TrackReport>;
  dead: boolean;
  held: number;
  lastRequest: number | undefined;
  /** What it answers to whatever it is told. */
  refusal?: PushRefusal;
}

/** Routers and the requests that come: what asks for pods that are not there is lost. */
export class WorldTraffic {
  readonly routers = new Map<string, WorldRouter>();
  lost = 0;
  readonly #objects: WorldObjects;
  readonly #pods: WorldPods;
  readonly #resource: string;
  readonly #now: () => number;
  #turn = 0;

  constructor(objects: WorldObjects, pods: WorldPods, resource: string, now: () => number) {
    this.#objects = objects;
    this.#pods = pods;
    this.#resource = resource;
    this.#now = now;
  }

  /** A router's admin port; the address begins with the name of its pod. */
  readonly client: RouterClient = {
    status: async (address) => {
      const router = this.#routerAt(address);
      const report: RouterReport = {
        generation: router.config?.generation ?? "",
        sequence: router.config?.sequence ?? 0,
        ready: true,
        latencyBounds: [...LATENCY_BOUNDS_MS],
        tracks: [...router.tracks.values()].map((track) => structuredClone(track)),
        held: router.held,
        inFlight: 0,
        idleMilliseconds: router.lastRequest === undefined ? null : this.#now() - router.lastRequest,
      };
      return report;
    },
    configure: async (address, { config }) => {
      const router = this.#routerAt(address);
      if (router.refusal !== undefined) return router.refusal;
      const { generation, sequence = 0 } = router.config ?? {};
      const told = routerConfig.parse(config);
      if (told.sequence < sequence) return { code: "StaleConfig", message: "older than what is in force" };
      router.config = told;
      if (config.generation !== generation) router.tracks = new Map();
      return undefined;
    },
  };

  /** A router that starts reads the mounted file. */
  isReady(pod: string): boolean {
    if (!this.routers.has(pod)) {
      const text = this.#objects.get("ConfigMap", `${this.#resource}-router`)?.data?.["router.json"];
      const config = text === undefined ? undefined : routerConfig.parse(JSON.parse(text));
      this.routers.set(pod, { config, tracks: new Map(), dead: false, held: 0, lastRequest: undefined });
    }
    return this.routers.get(pod)?.dead === false;
  }

  end(pod: string): void {
    this.routers.delete(pod);
  }

  /** Requests of one second, through the main Service. Before anything served, nobody asks. */
  carry(requests: number, served: boolean): void {
    if (this.#objects.get("Service", this.#resource) === undefined) return;
    for (let request = 0; request < requests; request++) {
      this.#turn += 1;
      const targets = this.#behind(this.#resource, 80);
      const target = targets[this.#turn % Math.max(targets.length, 1)];
      if (target === undefined) {
        if (served) this.lost += 1;
        continue;
      }
      const router = this.routers.get(target.name);
      if (router !== undefined) this.#route(router);
    }
  }

  #route(router: WorldRouter): void {
    const { config } = router;
    router.lastRequest = this.#now();
    if (config === undefined) {
      this.lost += 1;
      return;
    }
    const canary = this.#turn % 100 < (config.canary?.weightPercent ?? 0) ? config.canary : undefined;
    const counted = this.#track(router, (canary ?? config.stable).revision);
    counted.requests += 1;
    const pods = this.#answering(canary ?? config.stable);
    if (pods === undefined) {
      if (config.hold !== undefined) router.held += 1;
      else {
        this.lost += 1;
        counted.errors += 1;
      }
      return;
    }
    router.held = 0;
    const [pod] = pods;
    const behaviour = pod === undefined ? {} : this.#pods.behaviourOfRevision(revisionOf(pod));
    if (counted.requests % 1000 < (behaviour.errorPerMille ?? 0)) counted.errors += 1;
    record(counted.latencyCounts, behaviour.milliseconds ?? 5);
    if (canary === undefined && config.canary !== undefined && config.mirror !== undefined) {
      this.#mirror(this.#track(router, config.canary.revision));
    }
  }

  #mirror(track: TrackReport): void {
    track.mirrored += 1;
    const { divergedPerMille = 0 } = this.#pods.behaviourOfRevision(track.revision);
    if (track.mirrored % 1000 < divergedPerMille) track.diverged += 1;
  }

  /** One pod of each backend of a track; undefined where one of them has none. Other resources' always answer. */
  #answering({ backend, graph }: RouterConfig["stable"]): WorldPod[] | undefined {
    const urls = [backend, ...(graph?.nodes ?? []).map((node) => node.backend)].flatMap(
      (one) => one?.http ?? [],
    );
    const pods = urls.flatMap((url) => {
      const { hostname, port } = new URL(url);
      const [service = ""] = hostname.split(".");
      if (this.#objects.get("Service", service) === undefined) return [];
      return [this.#behind(service, Number(port || 80))[0]];
    });
    const found = pods.filter((pod) => pod !== undefined);
    return found.length === pods.length ? found : undefined;
  }

  /** The ready pods that a port of a Service leads to: they have its labels, and a container port of that name. */
  #behind(service: string, port: number): WorldPod[] {
    const { selector = {}, ports = [] } = this.#objects.get("Service", service)?.spec ?? {};
    const target = ports.find((one) => one.port === port)?.targetPort;
    return this.#pods.all.filter(({ ready, template }) => {
      const labels = template.metadata?.labels ?? {};
      const named = template.spec?.containers.flatMap((container) => container.ports ?? []) ?? [];
      return (
        ready &&
        Object.entries(selector).every(([key, value]) => labels[key] === value) &&
        named.some(({ name }) => name === target)
      );
    });
  }

  #track(router: WorldRouter, revision: string): TrackReport {
    const known = router.tracks.get(revision);
    if (known !== undefined) return known;
    const none = { requests: 0, errors: 0, mirrored: 0, diverged: 0, mirrorErrors: 0 };
    const track = { revision, latencyCounts: emptyCounts(), ...none };
    router.tracks.set(revision, track);
    return track;
  }

  #routerAt(address: string): WorldRouter {
    const router = this.routers.get(address.split(":")[0] ?? "");
    if (router !== undefined && !router.dead) return router;
    throw new NaruError({ code: "RouterUnreachable", message: "gone", remedy: "none", status: 503 });
  }
}
