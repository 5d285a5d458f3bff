import type { Deployment } from "kubernetes-types/apps/v1.js";
import type { PodTemplateSpec } from "kubernetes-types/core/v1.js";
import type { KubeObject } from "../../engine/objects.ts";
import { type Role, selectorOf } from "../labels.ts";
import { deploymentName, stepName, type Track } from "../names.ts";
import type { Plan, Situation } from "../plan.ts";
import { instantiate } from "../pod/instantiate.ts";
import type { Revision } from "../revision.ts";
import { countedFrom } from "../workloads.ts";
import { child } from "./child.ts";

/** The Deployments of one track: the serving pods, and those of a graph's own containers. */
export function trackDeployments(
  situation: Situation,
  plan: Plan,
  track: Track,
  revision: Revision,
  replicas: number,
): KubeObject[] {
  const { name } = situation;
  const { input } = revision;
  const copiedFrom = track === "stable" ? countedFrom(situation) : undefined;
  const deployment = (own: string, role: Role, template: PodTemplateSpec, node?: string): KubeObject =>
    servingDeployment(situation, plan, {
      name: own,
      replicas,
      resourceVersion: copiedFrom?.name === own ? copiedFrom.resourceVersion : undefined,
      selector: selectorOf(name, role, track, node),
      template: instantiate(template, {
        name,
        revision: revision.name,
        track,
        role,
        ...(node === undefined ? {} : { node }),
      }),
    });
  return [
    ...(input.pod === undefined ? [] : [deployment(deploymentName(name, track), "inference", input.pod)]),
    ...input.steps.map(({ node, pod }) => deployment(stepName(name, node, track), "step", pod, node)),
  ];
}

export function servingDeployment(
  situation: Situation,
  plan: Pick<Plan, "surge">,
  own: {
    name: string;
    replicas: number;
    /** Of the object that `replicas` was copied from: an autoscaler's later count is not to be written over. */
    resourceVersion?: string | undefined;
    selector: Record<string, string>;
    template: PodTemplateSpec;
  },
): KubeObject {
  const deployment: Deployment & { metadata: { name: string } } = {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: {
      name: own.name,
      labels: own.selector,
      ...(own.resourceVersion === undefined ? {} : { resourceVersion: own.resourceVersion }),
    },
    spec: {
      replicas: own.replicas,
      selector: { matchLabels: own.selector },
      strategy: {
        type: "RollingUpdate",
        rollingUpdate: {
          maxSurge: intOrPercent(plan.surge.maxSurge),
          maxUnavailable: intOrPercent(plan.surge.maxUnavailable),
        },
      },
      progressDeadlineSeconds: situation.spec.progressDeadlineSeconds,
      // The past is kept as ControllerRevisions; an old ReplicaSet would be a second, weaker memory.
      revisionHistoryLimit: 1,
      template: own.template,
    },
  };
  return child(situation, deployment);
}

/** IntOrString as Kubernetes stores it: a number stays one. */
function intOrPercent(text: string): number | string {
  return /^[0-9]+$/.test(text) ? Number(text) : text;
}
