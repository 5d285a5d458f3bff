import { type KubeObject, ownerReferenceTo } from "../../engine/objects.ts";
import { commonLabels } from "../labels.ts";
import type { Situation } from "../plan.ts";

/** A typed Kubernetes object as the engine takes it: in the resource's namespace, owned and labelled. */
export function child<T extends { apiVersion?: string; kind?: string; metadata?: object }>(
  { owner, name, namespace }: Situation,
  object: T & {
    metadata: {
      name: string;
      resourceVersion?: string;
      labels?: Record<string, string>;
      annotations?: Record<string, string>;
    };
  },
): KubeObject {
  const { apiVersion = "", kind = "", metadata, ...rest } = object;
  return {
    apiVersion,
    kind,
    metadata: {
      ...metadata,
      namespace,
      labels: { ...commonLabels(name), ...metadata.labels },
      ownerReferences: [ownerReferenceTo(owner)],
    },
    ...rest,
  };
}
