import { randomBytes } from "node:crypto";
import { canonicalJson, shortHash } from "../engine/canonical.ts";
import { type KubeObject, ownerReferenceTo } from "../engine/objects.ts";
import type { PodSpec } from "./pod-types.ts";

export interface PodTemplate {
  metadata?: { labels?: Record<string, string>; annotations?: Record<string, string> };
  spec: PodSpec;
}

/** Stands for a template, whatever the order of its fields. */
export function templateHash(template: PodTemplate): string {
  return shortHash(canonicalJson(template));
}

/** A Pod of a Deployment or Job: named after it, owned by it, as its template says. */
export function podFrom(
  owner: KubeObject,
  template: PodTemplate,
  prefix: string,
  labels: Record<string, string>,
): KubeObject {
  const { annotations } = template.metadata ?? {};
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      name: `${prefix.slice(0, 240)}-${randomBytes(3).toString("hex").slice(0, 5)}`,
      namespace: owner.metadata.namespace ?? "default",
      labels: { ...template.metadata?.labels, ...labels },
      ...(annotations === undefined ? {} : { annotations }),
      ownerReferences: [ownerReferenceTo(owner)],
    },
    spec: structuredClone(template.spec),
  };
}
