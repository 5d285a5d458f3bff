import { type KubeObject, refOf, sameRef } from "./objects.ts";

/** Which of the owned objects go: those that are not wanted, and not on their way out already. */
export function unwanted(owned: readonly KubeObject[], wanted: readonly KubeObject[]): KubeObject[] {
  return owned.filter((object) => {
    if (object.metadata.deletionTimestamp !== undefined) return false;
    const ref = refOf(object);
    return !wanted.some((child) => sameRef(ref, child));
  });
}
