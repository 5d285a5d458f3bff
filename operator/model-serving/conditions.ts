import { findCondition, setCondition } from "../engine/conditions.ts";
import type { KindCondition } from "../engine/kind.ts";
import type { Condition } from "../engine/objects.ts";
import { type Finding, type Judge, no, unknown, yes } from "./conditions/finding.ts";
import { serviceMonitorApplied } from "./conditions/monitoring.ts";
import { anyPlaceProblem, problemsOf, routersProblem } from "./conditions/problems.ts";
import { routesAccepted } from "./conditions/routes.ts";
import { scalingActive } from "./conditions/scaling.ts";
import { routerName } from "./names.ts";
import { notServed } from "./not-served.ts";
import type { Plan, Situation } from "./plan.ts";
import { isScalable, scalerOf } from "./rules/autoscaling.ts";
import { routeKinds } from "./rules/network.ts";
import { wantsRouter } from "./rules/routing.ts";
import { interruption } from "./rules/surge.ts";
import { isSettled, leastReady, servingWorkload, workloadsOf } from "./workloads.ts";

/**
 * Every condition, each a question of its own; undefined: it is not asked of this resource. Where no answer is wanted,
 * none is a fault: what progresses for too long is Degraded, and at 0 replicas no pod has loaded the model.
 */
const questions: readonly (KindCondition & { readonly judge: Judge })[] = [
  { type: "Ready", judge: ready, wanted: "True", always: true },
  { type: "Progressing", judge: progressing },
  { type: "Degraded", judge: degraded, wanted: "False" },
  { type: "ModelAvailable", judge: modelAvailable },
  { type: "RolloutComplete", judge: rolloutComplete, wanted: "True" },
  { type: "RoutersConfigured", judge: routersConfigured, wanted: "True" },
  { type: "ScalingActive", judge: scalingActive, wanted: "True" },
  { type: "RoutesAccepted", judge: routesAccepted, wanted: "True" },
  { type: "ServiceMonitorApplied", judge: serviceMonitorApplied, wanted: "True" },
  { type: "RobotsAssigned", judge: robotsAssigned, wanted: "True" },
];

/** What metrics tell of. */
export const CONDITIONS: readonly KindCondition[] = questions.map(({ judge: _, ...known }) => known);

/** Conditions as they are now; `lastTransitionTime` moves only with `status`. */
export function conditionsOf(situation: Situation, plan: Plan): Condition[] {
  const before = (situation.before.conditions ?? []) as Condition[];
  return questions.flatMap(({ type, judge }) => {
    const finding = judge(situation, plan);
    if (finding === undefined) return [];
    const change = { type, ...finding, observedGeneration: situation.generation };
    return findCondition(setCondition(before, change, situation.now), type) ?? [];
  });
}

/** Whether the Service answers: only what was seen to be ready counts. */
function ready(situation: Situation, plan: Plan): Finding {
  const { observed, spec, refusal } = situation;
  const pods = readyPods(situation, plan);
  const routers = observed.routers.filter((router) => router.ready).length;
  // It changes over only to those who are ready, so what is applied next may be told already.
  const behindRouter = plan.routing === "Router";
  if (refusal !== undefined && (observed.routing === undefined || pods === 0)) return no(refusal);
  if (behindRouter && routers === 0) {
    const problem = observed.routers.map(({ report }) => report?.problem).find((one) => one !== undefined);
    // Before its nodes are ready a router can't read their metadata: that is no fault of the graph.
    if (problem !== undefined && pods > 0) {
      return no({ reason: problem.code, message: `${problem.message}: ${problem.remedy}` });
    }
    const broken = pods === 0 ? problemsOf(situation)[0] : undefined;
    if (broken !== undefined) return no({ reason: broken.code, message: broken.message });
    const why = routersProblem(situation);
    const see = `see the events and logs of the pods of Deployment ${routerName(situation.name)}`;
    return no({ reason: "RoutersNotReady", message: `no router is ready: ${why ?? see}` });
  }
  if (pods === 0) {
    if (plan.replicas === 0 && spec.autoscaling !== undefined && behindRouter) {
      return yes("ScaledToZero", "routers hold requests until a pod is ready");
    }
    if (plan.replicas === 0) {
      return no({ reason: "NoReplicas", message: "replicas is 0: nothing serves until it is raised" });
    }
    const problem = problemsOf(situation)[0];
    if (problem !== undefined) return no({ reason: problem.code, message: problem.message });
    return no({ reason: "PodsNotReady", message: unreadyPods(situation, plan) });
  }
  if (observed.routing === undefined)
    return no({ reason: "NoService", message: "the Service is not there yet" });
  const count = Number.isFinite(pods)
    ? `${pods} ${pods === 1 ? "pod is" : "pods are"} ready`
    : "every node is served elsewhere";
  return yes(
    "Serving",
    behindRouter ? `${count}, behind ${routers} ${routers === 1 ? "router" : "routers"}` : count,
  );
}

/** Whether anything is on its way from one state to another. */
function progressing(situation: Situation, plan: Plan): Finding {
  const { canary, serving, replicas, routing, stable } = plan;
  if (situation.refusal !== undefined && stable === undefined) return no(situation.refusal);
  if (canary !== undefined) {
    return yes(`Canary${canary.phase}`, `revision ${canary.revision}: ${canary.message ?? ""}`);
  }
  if (lateWorkload(situation, plan) !== undefined) {
    return no({ reason: "ProgressDeadlineExceeded", message: "see Degraded" });
  }
  if (!isSettled(situation, "stable", serving, replicas)) {
    const [problem] = problemsOf(situation);
    const waits = problem === undefined ? anyPlaceProblem(situation) : `${problem.code}: ${problem.message}`;
    const workload = servingWorkload(situation, "stable");
    // Until the Deployment's controller has seen the new template, it still counts pods of the one before.
    const counted = workload?.revision === serving.name && workload.current;
    const updated = counted ? workload.updated : 0;
    const pods = `${updated} of ${replicas} pods are of revision ${serving.name}, ${workload?.ready ?? 0} are ready`;
    const rolling = stable !== undefined && serving.name !== stable.name;
    const gap = rolling ? interruption(plan) : undefined;
    const message = [pods, waits, gap].filter((part) => part !== undefined).join("; ");
    if (rolling) return yes("RollingUpdate", message);
    return yes(updated > replicas ? "PodsLeaving" : "PodsStarting", message);
  }
  const routers = situation.observed.routers.filter((router) => router.ready).length;
  const allRouters = situation.spec.traffic?.routerReplicas ?? 2;
  if (routing === "Router" && routers < allRouters) {
    const parts = [`${routers} of ${allRouters} routers are ready`, routersProblem(situation)];
    return yes("RoutersStarting", parts.filter((part) => part !== undefined).join("; "));
  }
  const wanted = wantsRouter(situation, plan) ? "Router" : "Direct";
  if (routing !== wanted) {
    return yes(
      "RoutingChanging",
      `the Service is to lead to ${wanted === "Router" ? "the routers" : "the pods"}`,
    );
  }
  return no({ reason: "Settled", message: "nothing is changing" });
}

/** Whether something needs a person. What heals by itself, or may, is not in it. */
function degraded(situation: Situation, plan: Plan): Finding {
  const { refusal, target, failures, now, spec } = situation;
  const { lastRollout, canary } = plan;
  if (refusal !== undefined) return yes(refusal.reason, refusal.message);
  if (lastRollout !== undefined && plan.failedRevisions.includes(target.name)) {
    const message = `revision ${lastRollout.revision} was taken back: ${lastRollout.message}. Change spec, or ask for a retry`;
    return yes(lastRollout.result, message);
  }
  const late = lateWorkload(situation, plan);
  if (late !== undefined) {
    const [problem] = problemsOf(situation);
    const ofServing =
      problem === undefined ? anyPlaceProblem(situation) : `${problem.code}: ${problem.message}`;
    const why = late === routerName(situation.name) ? routersProblem(situation) : ofServing;
    return yes(
      "ProgressDeadlineExceeded",
      `Deployment ${late} makes no progress: ${why ?? "see the events and logs of its pods"}`,
    );
  }
  if (canary?.phase === "Promoting" && canary.waitingSince !== undefined) {
    const seconds = spec.canary?.progressDeadlineSeconds ?? spec.progressDeadlineSeconds;
    if (now.getTime() - Date.parse(canary.waitingSince) >= seconds * 1000) {
      return yes(
        "PromotionStuck",
        `${canary.message ?? ""}: the canary carries on; promote, abort or change spec`,
      );
    }
  }
  const refused = failures.find(
    ({ code }) => code !== "Unavailable" && code !== "Conflict" && code !== "NotFound",
  );
  if (refused !== undefined) return yes(`Child${refused.code}`, refused.message);
  const missing = missingKind(situation, plan);
  if (missing !== undefined) return yes("KindNotServed", missing);
  return no({ reason: "AsExpected", message: "nothing needs a person" });
}

/** Whether the model that spec asks for can be had. */
function modelAvailable({ target, observed }: Situation): Finding {
  const problem = observed.pods
    .filter((pod) => pod.revision === target.name)
    .flatMap((pod) => pod.problems)
    .find(({ container }) => container.startsWith("fetch"));
  if (problem !== undefined) return no({ reason: problem.code, message: problem.message });
  const { input } = target;
  const loaded = observed.pods.some((pod) => pod.ready && pod.revision === target.name);
  if (!loaded && input.pod !== undefined) {
    return unknown("NotLoadedYet", `no ready pod has loaded the model of revision ${target.name}`);
  }
  return input.cached
    ? yes("Kept", "a new pod needs no source")
    : yes("Loaded", "without a cache claim a new pod needs the source (model.cache.persistentVolumeClaim)");
}

/** Whether what spec asks for is what serves, everywhere. */
function rolloutComplete(situation: Situation, plan: Plan): Finding {
  const { target, refusal } = situation;
  const { canary, stable, lastRollout, failedRevisions, serving } = plan;
  if (refusal !== undefined) return no(refusal);
  if (canary !== undefined) {
    return no({
      reason: `Canary${canary.phase}`,
      message: `revision ${canary.revision}: ${canary.message ?? ""}`,
    });
  }
  if (failedRevisions.includes(target.name)) {
    const message = `revision ${target.name} was taken back (${lastRollout?.reason ?? ""}); ${stable?.name ?? ""} serves`;
    return no({ reason: lastRollout?.result ?? "RolledBack", message });
  }
  if (stable?.name === target.name) {
    const what = plan.replicas === 0 ? "is in place, with 0 replicas" : "serves";
    return yes("Complete", `revision ${target.name} ${what}`);
  }
  return no({ reason: "RollingUpdate", message: `revision ${serving.name} is not on every pod yet` });
}

/** Whether the routers do as they are told: not asked where there are none to tell. */
function routersConfigured({ observed }: Situation, plan: Plan): Finding | undefined {
  const { routerConfig } = plan;
  const routers = observed.routers.filter(({ ready, leaving }) => ready && !leaving);
  if (routerConfig === undefined || routers.length === 0) return undefined;
  const refusing = routers.find(({ refusal }) => refusal !== undefined);
  if (refusing?.refusal !== undefined) {
    const { code, message } = refusing.refusal;
    return no({ reason: code, message: `router ${refusing.pod}: ${message}` });
  }
  const applied = routers.filter(({ report }) => report?.generation === routerConfig.generation).length;
  return applied === routers.length
    ? yes("Applied", "every router applies its configuration")
    : no({ reason: "Updating", message: `${applied} of ${routers.length} routers apply the configuration` });
}

function robotsAssigned({ spec }: Situation): Finding | undefined {
  if (spec.robots === undefined) return undefined;
  return no({ reason: "NoFleet", message: "no fleet is connected: robots get no model yet" });
}

/** Pods that a request may reach now; 0 if most requests would find none. */
function readyPods(situation: Situation, plan: Plan): number {
  const weight = plan.canary?.weightPercent ?? 0;
  const revision = plan.canary === undefined ? undefined : situation.revision(plan.canary.revision);
  const canary = revision === undefined || weight === 0 ? 0 : leastReady(situation, "canary", revision);
  // Once the canary carries all requests, no stable pod helps it.
  if (weight === 100) return canary;
  const stable = leastReady(situation, "stable", plan.stable ?? plan.serving);
  return stable === 0 ? 0 : stable + canary;
}

/** Why no pod answers though none has a problem of its own. */
function unreadyPods(situation: Situation, plan: Plan): string {
  const gap = plan.serving.name === plan.stable?.name ? undefined : interruption(plan);
  const place = anyPlaceProblem(situation);
  const parts = [
    place === undefined ? "no pod is ready yet" : "no pod is ready",
    place,
    plan.stable === undefined ? undefined : gap,
  ];
  return parts.filter((part) => part !== undefined).join("; ");
}

/** A Deployment of the stable track or of the routers that has made no progress for too long. */
function lateWorkload(situation: Situation, plan: Plan): string | undefined {
  const workloads = [
    ...workloadsOf(situation, "stable", plan.serving),
    situation.observed.workloads.get(routerName(situation.name)),
  ];
  return workloads.find((workload) => workload?.deadlineExceeded === true && workload.current)?.name;
}

/** What spec asks for by name and the cluster does not have. */
function missingKind(situation: Situation, plan: Plan): string | undefined {
  const { spec, observed } = situation;
  const { instead } = scalerOf(situation);
  if (spec.autoscaling?.provider === "KEDA" && isScalable(plan) && instead !== undefined) {
    return `autoscaling.provider asks for KEDA: ${instead}`;
  }
  if (spec.traffic?.parentRefs === undefined) return undefined;
  const route = routeKinds(plan).find((kind) => !observed.serves(kind) && !observed.hides(kind));
  return route === undefined
    ? undefined
    : `traffic.parentRefs asks for ${route.kind}, but ${notServed(route)}: install the Gateway API, or remove the field`;
}
