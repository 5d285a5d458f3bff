import type { Cluster, WatchEvent } from "./cluster.ts";
import { controllerOf, type KubeObject, type ObjectRef, refKey, refOf } from "./objects.ts";

/**
 * Which objects each owner controls, by the owner's uid (a name is no proof of ownership), kept from the watches.
 * Without it, every reconcile would go through all objects of all owned kinds.
 */
export class OwnedIndex {
  readonly #refs = new Map<string, Map<string, ObjectRef>>();

  update({ type, object }: WatchEvent): void {
    const uid = controllerOf(object)?.uid;
    if (uid === undefined) return;
    const ref = refOf(object);
    const ofOwner = this.#refs.get(uid) ?? new Map<string, ObjectRef>();
    if (type === "Deleted") ofOwner.delete(refKey(ref));
    else ofOwner.set(refKey(ref), ref);
    if (ofOwner.size === 0) this.#refs.delete(uid);
    else this.#refs.set(uid, ofOwner);
  }

  /** The objects that `owner` controls, as the cache shows them now. */
  of(owner: KubeObject, cluster: Cluster): KubeObject[] {
    const { uid } = owner.metadata;
    if (uid === undefined) return [];
    return [...(this.#refs.get(uid)?.values() ?? [])]
      .map((ref) => cluster.get(ref))
      .filter((object) => object !== undefined)
      .filter((object) => controllerOf(object)?.uid === uid);
  }
}
