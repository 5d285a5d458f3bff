import type { ModelServingSpec, ModelServingStatus } from "../../crds/model-serving.ts";
import type { ClusterEvent } from "../engine/cluster.ts";
import type { ChildFailure } from "../engine/kind.ts";
import type { KubeObject } from "../engine/objects.ts";
import type { Connections } from "./connections.ts";
import type { Observed } from "./observed.ts";
import type { Revision } from "./revision.ts";
import type { SentConfig } from "./router-config.ts";

export type CanaryStatus = NonNullable<ModelServingStatus["canary"]>;
export type LastRollout = NonNullable<ModelServingStatus["lastRollout"]>;
export type Told = Omit<ClusterEvent, "about" | "uid">;

/** What a decision starts from. Nothing of it changes while the rules run. */
export interface Situation {
  readonly owner: KubeObject;
  readonly name: string;
  readonly namespace: string;
  readonly generation: number;
  readonly annotations: Readonly<Record<string, string>>;
  readonly spec: ModelServingSpec;
  /** Status as it was: with `spec`, the only memory that there is. */
  readonly before: ModelServingStatus;
  readonly observed: Observed;
  readonly now: Date;
  readonly failures: readonly ChildFailure[];
  readonly connections: Connections;
  /** What `spec` asks for; where it is refused, what it asked for before. */
  readonly target: Revision;
  /** Why `spec` can't be carried out. */
  readonly refusal: Refusal | undefined;
  /** A kept revision by name, or the target. */
  readonly revision: (name: string) => Revision | undefined;
}

/** What makes a spec that passes its schema impossible all the same. */
export interface Refusal {
  readonly reason: string;
  readonly message: string;
}

/** What the rules decide, each its own part, in the order of decide.ts. */
export interface Plan {
  /** What serves, or served last; undefined until a revision was first seen to serve. */
  readonly stable: Revision | undefined;
  /** What the pods of the track `stable` are to be. */
  readonly serving: Revision;
  readonly canary: CanaryStatus | undefined;
  readonly lastRollout: LastRollout | undefined;
  readonly failedRevisions: readonly string[];
  readonly handledAction: string | undefined;
  /** Replicas of the track `stable`, and of the canary. */
  readonly replicas: number;
  readonly canaryReplicas: number;
  /** The router stands, or is to stand, before the pods. */
  readonly router: boolean;
  /** Whom the main Service leads to from now on. */
  readonly routing: "Direct" | "Router";
  readonly routerConfig: SentConfig | undefined;
  readonly surge: { readonly maxSurge: string; readonly maxUnavailable: string };
  readonly events: readonly Told[];
  readonly children: readonly KubeObject[];
  /** Each a wish to be asked again after so many milliseconds; the shortest is kept. */
  readonly requeue: readonly number[];
}

/** One rule: what it adds to the plan. Pure; it reads the situation and what rules before it planned. */
export type Rule = (situation: Situation, plan: Plan) => Partial<Plan>;
