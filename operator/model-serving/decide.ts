import { type ModelServing, type ModelServingStatus, modelServing } from "../../crds/model-serving.ts";
import { setCondition } from "../engine/conditions.ts";
import type { ChildFailure, Decision } from "../engine/kind.ts";
import type { Condition, KubeObject } from "../engine/objects.ts";
import { connectionsOf } from "./connections.ts";
import type { Observed } from "./observed.ts";
import type { Plan, Rule, Situation } from "./plan.ts";
import { readStatus } from "./read-status.ts";
import { type Revision, readRevision, targetRevision } from "./revision.ts";
import { autoscaler } from "./rules/autoscaling.ts";
import { canaryRollout } from "./rules/canary.ts";
import { canaryPods, mainService, routerPods, stablePods } from "./rules/delivery.ts";
import { forgetFailures } from "./rules/memory.ts";
import { gateways, network } from "./rules/network.ts";
import { monitoring } from "./rules/observability.ts";
import { refusalOf } from "./rules/refusal.ts";
import { keepRevisions } from "./rules/revisions.ts";
import { rollingUpdate } from "./rules/rolling.ts";
import { routing } from "./rules/routing.ts";
import { scaleCanary, scaleStable } from "./rules/scale.ts";
import { surge } from "./rules/surge.ts";
import { tellChanges } from "./rules/told.ts";
import { statusOf } from "./status.ts";

/** Made once: a schema is compiled when it first parses. */
const readable = modelServing.omit({ status: true });

/** Asks for a runtime image other than the one that a kept revision began with. */
const RUNTIME_IMAGE_ANNOTATION = "naru.dev/runtime-image";

/**
 * The rules, in the order in which they are asked; each adds its part to the plan and sees what came before.
 * Deciding on what was decided changes nothing: no rule asks for more than what it can know now.
 */
const rules: readonly Rule[] = [
  // What spec no longer asks for is forgotten, so that it can be asked for again.
  forgetFailures,
  // The count comes first: it says what full size is.
  scaleStable,
  // Which revision serves and which is tried beside it, and how far that has come.
  canaryRollout,
  // Without a canary the pods are replaced in place.
  rollingUpdate,
  scaleCanary,
  // Who answers the Service changes over only to somebody who is ready.
  routing,
  // How many pods more or fewer an update may have.
  surge,
  // Children, in the order in which they are applied: what others read first, what leads traffic to them last.
  keepRevisions,
  routerPods,
  stablePods,
  canaryPods,
  autoscaler,
  network,
  mainService,
  gateways,
  monitoring,
  // What people are told of beside the rollout.
  tellChanges,
];

/**
 * What a ModelServing needs, by what was observed. Pure: no clock, no effect, and the same answer to the same
 * question. A resource that can't be read keeps what it has.
 */
export function decide(
  resource: KubeObject,
  observed: Observed,
  now: Date,
  failures: readonly ChildFailure[] = [],
): Decision {
  const parsed = readable.safeParse(withoutStatus(resource));
  const before = readStatus(resource.status);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    const message = `${issue?.path.join(".") ?? ""}: ${issue?.message ?? "invalid"}`;
    return leftAlone(resource, before, now, { reason: "InvalidSpec", message });
  }
  const situation = situate(resource, parsed.data.spec, before, observed, now, failures);
  if (situation === undefined) {
    const refusal = refusalOf(parsed.data.spec);
    return leftAlone(resource, before, now, refusal ?? { reason: "InvalidSpec", message: "" });
  }
  const plan = rules.reduce<Plan>((so, rule) => combine(so, rule(situation, so)), beginning(situation));
  const shortest = Math.min(...plan.requeue);
  return {
    children: plan.children,
    status: statusOf(situation, plan),
    events: plan.events,
    ...(Number.isFinite(shortest) ? { requeueAfter: shortest } : {}),
  };
}

function situate(
  owner: KubeObject,
  spec: ModelServing["spec"],
  before: ModelServingStatus,
  observed: Observed,
  now: Date,
  failures: readonly ChildFailure[],
): Situation | undefined {
  const { name, namespace = "", generation = 1, annotations = {} } = owner.metadata;
  const kept = new Map<string, Revision>();
  for (const one of observed.kept) {
    const revision = readRevision(one);
    if (revision !== undefined) kept.set(revision.name, revision);
  }
  const refusal = refusalOf(spec);
  const stable = before.revision === undefined ? undefined : kept.get(before.revision);
  // A spec that can't be carried out takes nothing away: what served goes on.
  const target =
    refusal === undefined
      ? targetRevision(
          name,
          spec,
          observed.kept,
          observed.settings.runtimeImage,
          annotations[RUNTIME_IMAGE_ANNOTATION] || undefined,
        )
      : (stable ?? [...kept.values()].at(-1));
  if (target === undefined) return undefined;
  return {
    owner,
    name,
    namespace,
    generation,
    annotations,
    spec,
    before,
    observed,
    now,
    failures,
    connections: target.input.connections ?? connectionsOf(spec),
    target,
    refusal,
    revision: (wanted) => kept.get(wanted) ?? (wanted === target.name ? target : undefined),
  };
}

function beginning(situation: Situation): Plan {
  const { before, target, spec } = situation;
  const stable = before.revision === undefined ? undefined : situation.revision(before.revision);
  return {
    stable,
    serving: stable ?? target,
    canary: before.canary,
    lastRollout: before.lastRollout,
    failedRevisions: before.failedRevisions ?? [],
    handledAction: before.handledAction,
    replicas: spec.replicas ?? 1,
    canaryReplicas: 0,
    router: false,
    routing: "Direct",
    routerConfig: undefined,
    surge: { maxSurge: "25%", maxUnavailable: "0" },
    events: [],
    children: [],
    requeue: [],
  };
}

function combine(plan: Plan, part: Partial<Plan>): Plan {
  return { ...plan, ...part, requeue: [...plan.requeue, ...(part.requeue ?? [])] };
}

/** Says why, and touches nothing. */
function leftAlone(
  resource: KubeObject,
  before: ModelServingStatus,
  now: Date,
  refusal: { reason: string; message: string },
): Decision {
  const { generation = 1 } = resource.metadata;
  const told = before.conditions?.some(
    ({ type, reason, message }) =>
      type === "Degraded" && reason === refusal.reason && message === refusal.message,
  );
  const conditions = [
    { type: "Ready", status: "False" },
    { type: "Degraded", status: "True" },
    { type: "RolloutComplete", status: "False" },
  ] as const;
  return {
    children: [],
    prune: false,
    status: {
      ...before,
      observedGeneration: generation,
      conditions: conditions.reduce<Condition[]>(
        (all, condition) =>
          setCondition(all, { ...condition, ...refusal, observedGeneration: generation }, now),
        (before.conditions ?? []) as Condition[],
      ),
    },
    events: told === true ? [] : [{ type: "Warning", ...refusal }],
  };
}

function withoutStatus({ status: _, ...resource }: KubeObject): Omit<KubeObject, "status"> {
  return resource;
}
