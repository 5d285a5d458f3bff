import { APPLIED } from "../engine/diff.ts";
import type { ControlledKind } from "../engine/kind.ts";
import { controllerOf, type KubeObject, type ObjectKind, sameKind } from "../engine/objects.ts";
import type { KindRule } from "../kube/kind-source.ts";
import { SERVING_LABEL } from "../model-serving/labels.ts";

const POD: ObjectKind = { apiVersion: "v1", kind: "Pod" };

/**
 * How the kinds of controllers are read from a cluster in which most objects are somebody else's.
 *
 * - Resources: whole.
 * - Owned kinds: all objects are seen, since a child's name may be taken by anybody; of those that no resource of ours
 *   controls no more is kept than who they are. A ConfigMap of somebody else's may hold a megabyte.
 * - Pods: only those of ours are asked for.
 */
export function kindRules(kinds: readonly ControlledKind<unknown>[]): KindRule[] {
  const rules = new Map<string, KindRule>();
  const add = (rule: KindRule): void => {
    const key = `${rule.apiVersion}/${rule.kind}`;
    if (!rules.has(key)) rules.set(key, rule);
  };
  const isOurs = (object: KubeObject): boolean => {
    const controller = controllerOf(object);
    // A child that lost its owner reference is known by our annotation, and given the reference back.
    if (controller === undefined) return object.metadata.annotations?.[APPLIED] !== undefined;
    return kinds.some(({ kind }) => sameKind(kind, controller));
  };
  for (const { kind } of kinds) add(kind);
  for (const { owns, reads, addOns = [] } of kinds) {
    for (const kind of owns) {
      const optional = addOns.some((addOn) => sameKind(addOn, kind));
      add({ ...kind, optional, keep: (object) => (isOurs(object) ? object : identityOf(object)) });
    }
    for (const { kind } of reads)
      add(sameKind(kind, POD) ? { ...kind, labelSelector: SERVING_LABEL, index: SERVING_LABEL } : kind);
  }
  return [...rules.values()];
}

/** Enough to know that a name is taken, by whom, and since which version. */
function identityOf({ apiVersion, kind, metadata }: KubeObject): KubeObject {
  const { name, namespace, uid, resourceVersion, ownerReferences, deletionTimestamp } = metadata;
  return {
    apiVersion,
    kind,
    metadata: {
      name,
      ...(namespace && { namespace }),
      ...(uid && { uid }),
      ...(resourceVersion && { resourceVersion }),
      ...(ownerReferences && { ownerReferences }),
      ...(deletionTimestamp && { deletionTimestamp }),
    },
  };
}
