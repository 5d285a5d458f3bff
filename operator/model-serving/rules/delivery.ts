import type { KubeObject } from "../../engine/objects.ts";
import { REVISION_LABEL } from "../../engine/revisions.ts";
import { routerConfigMap } from "../children/config-map.ts";
import { trackDeployments } from "../children/deployment.ts";
import {
  canaryDisruption,
  type Disruption,
  ONE_AT_A_TIME,
  podDisruptionBudget,
  stableDisruption,
} from "../children/pdb.ts";
import { routerDeployment } from "../children/router-deployment.ts";
import { service } from "../children/service.ts";
import { serviceAccount } from "../children/service-account.ts";
import { selectorOf } from "../labels.ts";
import { deploymentName, routerName, stepName, TRACKS, type Track, trackServiceName } from "../names.ts";
import type { Plan, Rule, Situation } from "../plan.ts";
import type { Revision } from "../revision.ts";

/** The pods of the stable track, and what they run as. */
export const stablePods: Rule = (situation, plan) => ({
  children: [
    ...plan.children,
    ...(needsAccount(situation, plan) ? [serviceAccount(situation)] : []),
    ...trackDeployments(situation, plan, "stable", plan.serving, plan.replicas),
    ...budgets(situation, "stable", plan.serving, stableDisruption(situation)),
  ],
});

/** The canary's pods, for as long as any router may still send them requests. */
export const canaryPods: Rule = (situation, plan) => {
  const revision = plan.canary === undefined ? undefined : situation.revision(plan.canary.revision);
  if (revision === undefined) return {};
  return {
    children: [
      ...plan.children,
      ...trackDeployments(situation, plan, "canary", revision, plan.canaryReplicas),
      // In a promotion the canary carries all requests: evictions must leave it whole as well.
      ...budgets(situation, "canary", revision, canaryDisruption(situation, plan)),
    ],
  };
};

/** One a Deployment of the track: a graph without one of its steps answers nothing. */
function budgets(
  situation: Situation,
  track: Track,
  { input }: Revision,
  disruption: Disruption,
): KubeObject[] {
  const { name } = situation;
  return [
    ...(input.pod === undefined
      ? []
      : [{ name: deploymentName(name, track), selector: selectorOf(name, "inference", track) }]),
    ...input.steps.map(({ node }) => ({
      name: stepName(name, node, track),
      selector: selectorOf(name, "step", track, node),
    })),
  ].map((own) => podDisruptionBudget(situation, { ...own, disruption }));
}

/** The router and the Services that it sends requests to. */
export const routerPods: Rule = (situation, plan) => {
  const { name } = situation;
  if (!plan.router || plan.routerConfig === undefined) return {};
  const tracks = TRACKS.map((track) =>
    service(situation, {
      name: trackServiceName(name, track),
      selector: { ...selectorOf(name, "inference", track), ...revisionOf(plan, track) },
      protocols: trackProtocols(situation, plan, track),
    }),
  );
  return {
    children: [
      ...plan.children,
      routerConfigMap(situation, plan.routerConfig),
      ...tracks,
      ...stepServices(situation, plan),
      routerDeployment(situation, plan),
      podDisruptionBudget(situation, {
        name: routerName(name),
        selector: selectorOf(name, "router"),
        disruption: ONE_AT_A_TIME,
      }),
    ],
  };
};

/**
 * The canary's Service leads to one revision only: where a rollout overtakes another, pods of both are there for a
 * while, and the new one must not be judged by the answers of the old. Stable pods roll behind one Service.
 */
function revisionOf(plan: Plan, track: Track): Record<string, string> {
  return track === "canary" && plan.canary !== undefined ? { [REVISION_LABEL]: plan.canary.revision } : {};
}

/** The Service that clients know. */
export const mainService: Rule = (situation, plan) => {
  const { name, spec } = situation;
  const routed = plan.routing === "Router";
  return {
    children: [
      ...plan.children,
      service(situation, {
        name,
        selector: routed ? selectorOf(name, "router") : selectorOf(name, "inference", "stable"),
        protocols: plan.serving.input.protocols,
        annotations: spec.traffic?.serviceAnnotations,
      }),
    ],
  };
};

/** Whether any pod runs as the account that is made for the resource; a kept revision may, where spec no longer does. */
function needsAccount(situation: Situation, plan: Plan): boolean {
  const { name, target } = situation;
  const canary = plan.canary === undefined ? undefined : situation.revision(plan.canary.revision);
  const templates = [target, plan.serving, plan.stable, canary].flatMap((revision) =>
    revision === undefined ? [] : [revision.input.pod, ...revision.input.steps.map((step) => step.pod)],
  );
  return plan.router || templates.some((template) => template?.spec?.serviceAccountName === name);
}

/** One Service a node that runs a container of its own, in each track that has it. */
function stepServices(situation: Situation, plan: Plan) {
  const { name } = situation;
  const canary = plan.canary === undefined ? undefined : situation.revision(plan.canary.revision);
  const tracks = [
    ["stable", plan.stable ?? plan.serving],
    ["stable", plan.serving],
    ["canary", canary],
  ] as const;
  const services = tracks.flatMap(([track, revision]) =>
    (revision?.input.steps ?? []).map((step) => {
      const own = stepName(name, step.node, track);
      const selector = selectorOf(name, "step", track, step.node);
      return [own, service(situation, { name: own, selector, protocols: stepProtocols(step) })] as const;
    }),
  );
  return [...new Map(services).values()];
}

function stepProtocols({ pod, grpc }: Revision["input"]["steps"][number]) {
  const ports = pod.spec?.containers.flatMap((container) => container.ports ?? []) ?? [];
  return { http: ports.some(({ name }) => name === "http"), grpc };
}

function trackProtocols(situation: Situation, plan: Plan, track: "stable" | "canary") {
  const canary = plan.canary === undefined ? undefined : situation.revision(plan.canary.revision);
  return (track === "canary" ? (canary ?? plan.serving) : plan.serving).input.protocols;
}
