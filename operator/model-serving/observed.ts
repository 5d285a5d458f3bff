import type { RouterReport } from "../../lib/config/router.ts";
import type { ObjectKind } from "../engine/objects.ts";
import type { Revision as Kept } from "../engine/revisions.ts";
import type { Role } from "./labels.ts";
import type { Track } from "./names.ts";
import type { SentConfig } from "./router-config.ts";
import type { OperatorSettings } from "./settings.ts";

/** What was seen of a Deployment. Counts are pods; its status may speak of an older spec (`current` is false). */
export interface Workload {
  readonly name: string;
  /** Moves on with each write of anybody, an autoscaler's among them. */
  readonly resourceVersion: string | undefined;
  /** Of its pod template; absent on the router's. */
  readonly revision: string | undefined;
  /** Image of its first container. */
  readonly image: string | undefined;
  /** Wanted count, as the spec holds it: an autoscaler may have written it. */
  readonly replicas: number;
  /** Whether the Deployment's controller has seen the spec that the other fields speak of. */
  readonly current: boolean;
  readonly pods: number;
  readonly updated: number;
  readonly ready: number;
  readonly available: number;
  readonly deadlineExceeded: boolean;
  /** Why the API server takes no more of its pods: a quota, a security standard, a webhook. */
  readonly podsRefused: string | undefined;
}

/** Why a container does not run: its own termination message, or the kubelet's word. */
export interface ContainerProblem {
  readonly container: string;
  readonly code: string;
  readonly message: string;
}

export interface ObservedPod {
  readonly name: string;
  readonly role: Role;
  readonly track: Track | undefined;
  readonly revision: string | undefined;
  /** Of a graph, where the pod runs the container of that node alone. */
  readonly node: string | undefined;
  /** Whole seconds. */
  readonly createdAt: Date | undefined;
  readonly ready: boolean;
  readonly readySince: Date | undefined;
  readonly leaving: boolean;
  /** The scheduler's words where it found no place. */
  readonly unschedulable: string | undefined;
  /** Restarts of the serving container. */
  readonly restarts: number;
  readonly problems: readonly ContainerProblem[];
}

/** A router pod and what it answered when it was asked just now. */
export interface ObservedRouter {
  readonly pod: string;
  readonly ready: boolean;
  readonly readySince: Date | undefined;
  /** On its way out; it may still finish requests. */
  readonly leaving: boolean;
  readonly report: RouterReport | undefined;
  /** Why it did not take the configuration that it was told just now. */
  readonly refusal: PushRefusal | undefined;
}

/** A router's answer to a configuration that it does not take. */
export interface PushRefusal {
  readonly code: string;
  readonly message: string;
}

/** An HPA or a ScaledObject, by its own conditions. */
export interface ObservedScaler {
  readonly kind: string;
  /** Whether it can compute a count; undefined before it has tried. */
  readonly active: boolean | undefined;
  readonly reason: string;
  readonly message: string;
}

/** A route and what Gateways said of it as it is now: each a condition of one of its parents. */
export interface ObservedRoute {
  readonly kind: string;
  readonly verdicts: readonly {
    /** `namespace/name`. */
    readonly gateway: string;
    readonly status: string;
    readonly reason: string;
    readonly message: string;
  }[];
}

/** Everything that a decision reads beside the resource. */
export interface Observed {
  readonly settings: OperatorSettings;
  /** Whose signatures routers are to trust: the operator's own public keys, at least one. */
  readonly routerKeys: readonly string[];
  readonly kept: readonly Kept[];
  readonly workloads: ReadonlyMap<string, Workload>;
  readonly pods: readonly ObservedPod[];
  readonly routers: readonly ObservedRouter[];
  /** Who the pods behind the main Service are; undefined before it exists. */
  readonly routing: "Direct" | "Router" | undefined;
  /** The configuration that routers are to have, as it was applied. */
  readonly routerConfig: SentConfig | undefined;
  /** Two for a moment, where one takes the place of the other. */
  readonly scalers: readonly ObservedScaler[];
  readonly routes: readonly ObservedRoute[];
  /** Names of the ConfigMaps that there are. */
  readonly configMaps: ReadonlySet<string>;
  serves(kind: ObjectKind): boolean;
  /** Whether what there is of a kind can't be told. */
  hides(kind: ObjectKind): boolean;
}
