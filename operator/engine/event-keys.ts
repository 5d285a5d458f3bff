import { shortHash } from "./canonical.ts";
import type { WatchEvent } from "./cluster.ts";
import type { ControlledKind } from "./kind.ts";
import { controllerOf, type KubeObject, type ObjectKind, refKey, refOf, sameKind } from "./objects.ts";
import { type Priority, priorities } from "./queue.ts";

/** Maps what a watch tells to the resources (as `namespace/name`) that have to be decided again. */
export type EventKeys = (event: WatchEvent) => readonly string[];

/** The resource itself. */
export function keysOfResource({ object }: WatchEvent): readonly string[] {
  return [keyOfResource(object)];
}

/** The resource of `kind` that controls the object, by name: the owner may have been deleted and made anew. */
export function keysOfOwner(kind: ObjectKind): EventKeys {
  return ({ object }) => {
    const owner = controllerOf(object);
    return owner !== undefined && sameKind(owner, kind)
      ? [`${object.metadata.namespace ?? ""}/${owner.name}`]
      : [];
  };
}

/** The resource that a read object concerns, and the one that it concerned until now (its labels may change). */
export function keysOfRead(keyOf: ControlledKind<unknown>["reads"][number]["keyOf"]): EventKeys {
  const before = new Map<string, string>();
  return ({ type, object }) => {
    const resource = keyOf(object);
    const key = resource === undefined ? undefined : `${resource.namespace}/${resource.name}`;
    const place = refKey(refOf(object));
    const previous = before.get(place);
    if (key === undefined || type === "Deleted") before.delete(place);
    else before.set(place, key);
    return [...new Set([key, previous])].filter((found) => found !== undefined);
  };
}

/**
 * Who is waiting for the reconcile that an event of a resource asks for: its user, if it is new or if the user wrote
 * something (`spec` raises the generation; promote and abort are annotations; so is a deletion). `before` is what the
 * engine saw last, if anything.
 */
export function priorityOfResource(event: WatchEvent, before: Seen | undefined): Priority {
  const { metadata } = event.object;
  const byUser =
    before === undefined ||
    event.type !== "Modified" ||
    before.generation !== metadata.generation ||
    before.annotations !== annotationsHash(event.object) ||
    metadata.deletionTimestamp !== undefined;
  return byUser ? priorities.User : priorities.Change;
}

/**
 * Who waits for a resource that is there at the start: somebody, if its present generation was never answered (it came,
 * or was changed, while nobody worked); nobody, if all that is asked is whether anything has changed.
 */
export function priorityOfListed({ metadata, status }: KubeObject): Priority {
  const answered = (status as { observedGeneration?: unknown } | undefined)?.observedGeneration;
  return answered === metadata.generation ? priorities.Backlog : priorities.Change;
}

/** What of a resource its user writes, short enough to be kept for each. */
export interface Seen {
  readonly generation: number | undefined;
  /** A hash: kubectl keeps whole specs in annotations. */
  readonly annotations: string;
}

export function seenOf(object: KubeObject): Seen {
  return { generation: object.metadata.generation, annotations: annotationsHash(object) };
}

export function keyOfResource(object: KubeObject): string {
  return `${object.metadata.namespace ?? ""}/${object.metadata.name}`;
}

function annotationsHash(object: KubeObject): string {
  return shortHash(JSON.stringify(object.metadata.annotations ?? {}));
}
