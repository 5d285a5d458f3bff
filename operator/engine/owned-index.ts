import type { Cluster, WatchEvent } from "./cluster.ts";
import { controllerOf, type KubeObject, type ObjectRef, refOf, sameRef } from "./objects.ts";

/**
 * Which objects each owner controls, by the owner's uid (a name is no proof of ownership), kept from the watches.
 * Without it, every reconcile would go through all objects of all owned kinds.
 */
export class OwnedIndex {
  /** Short lists, as long as they have to be: there is one for each resource. */
  readonly #refs = new Map<string, readonly ObjectRef[]>();

  update({ type, object }: WatchEvent): void {
    const uid = controllerOf(object)?.uid;
    if (uid === undefined) return;
    const refs = this.#refs.get(uid) ?? [];
    const known = refs.some((ref) => sameRef(ref, object));
    if (type !== "Deleted") {
      if (!known) this.#refs.set(uid, [...refs, refOf(object)]);
    } else if (known && refs.length === 1) this.#refs.delete(uid);
    else if (known) {
      this.#refs.set(
        uid,
        refs.filter((ref) => !sameRef(ref, object)),
      );
    }
  }

  /** The objects that `owner` controls, as the cache shows them now. */
  of(owner: KubeObject, cluster: Cluster): KubeObject[] {
    const { uid } = owner.metadata;
    if (uid === undefined) return [];
    return (this.#refs.get(uid) ?? [])
      .map((ref) => cluster.get(ref))
      .filter((object) => object !== undefined)
      .filter((object) => controllerOf(object)?.uid === uid);
  }
}
