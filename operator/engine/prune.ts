import { type KubeObject, refKey, refOf } from "./objects.ts";

/** Which of the owned objects go: those that are not wanted, and not on their way out already. */
export function unwanted(owned: readonly KubeObject[], wanted: readonly KubeObject[]): KubeObject[] {
  const keep = new Set(wanted.map((child) => refKey(refOf(child))));
  return owned.filter(
    (object) => object.metadata.deletionTimestamp === undefined && !keep.has(refKey(refOf(object))),
  );
}
