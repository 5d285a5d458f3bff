import { createHash, randomBytes } from "node:crypto";
import type { KubeObject } from "../engine/objects.ts";
import { isObject } from "./fields.ts";
import type { PodSpec } from "./pod-types.ts";

export interface PodTemplate {
  metadata?: { labels?: Record<string, string>; annotations?: Record<string, string> };
  spec: PodSpec;
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (!isObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([k, v]) => [k, sorted(v)]),
  );
}

/** Ten digits that stand for a template, whatever the order of its fields. */
export function templateHash(template: PodTemplate): string {
  return createHash("sha256")
    .update(JSON.stringify(sorted(template)))
    .digest("hex")
    .slice(0, 10);
}

/** A Pod of a Deployment or Job: named after it, owned by it, as its template says. */
export function podFrom(
  owner: KubeObject,
  template: PodTemplate,
  prefix: string,
  labels: Record<string, string>,
): KubeObject {
  const { apiVersion, kind, metadata } = owner;
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      name: `${prefix.slice(0, 240)}-${randomBytes(3).toString("hex").slice(0, 5)}`,
      namespace: metadata.namespace ?? "default",
      labels: { ...template.metadata?.labels, ...labels },
      ...(template.metadata?.annotations ? { annotations: template.metadata.annotations } : {}),
      ownerReferences: [
        {
          apiVersion,
          kind,
          name: metadata.name,
          uid: metadata.uid ?? "",
          controller: true,
          blockOwnerDeletion: true,
        },
      ],
    },
    spec: structuredClone(template.spec),
  };
}
