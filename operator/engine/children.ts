import { messageOf } from "../../lib/errors.ts";
import { type Cluster, ClusterError, type ClusterErrorCode, type ClusterEvent } from "./cluster.ts";
import { APPLIED } from "./diff.ts";
import type { ChildFailure } from "./kind.ts";
import {
  controllerOf,
  type KubeObject,
  type ObjectKind,
  type ObjectRef,
  refOf,
  sameKind,
  sameRef,
} from "./objects.ts";
import type { Writer } from "./writer.ts";

/** Tells of a child in an Event about its resource. */
export type Tell = (event: Omit<ClusterEvent, "about" | "uid">) => void;

/**
 * A child that the engine could not find again would never be pruned, so it is refused before anything is written.
 * @throws Error naming the child: a defect of the kind's `decide`
 */
export function checkChildren(
  resource: KubeObject,
  children: readonly KubeObject[],
  owns: readonly ObjectKind[],
): void {
  for (const [index, child] of children.entries()) {
    const ref = refOf(child);
    if (!owns.some((kind) => sameKind(kind, ref))) throw defect(ref, ", a kind that it does not own");
    if (ref.namespace !== (resource.metadata.namespace ?? "")) throw defect(ref, " in another namespace");
    if (controllerOf(child)?.uid !== resource.metadata.uid) {
      throw defect(ref, " without its owner reference");
    }
    if (children.slice(0, index).some((other) => sameRef(ref, other))) throw defect(ref, " twice");
  }
}

function defect({ kind, name }: ObjectRef, what: string): Error {
  return new Error(`decide gave ${kind} ${name}${what}`);
}

/**
 * Applies the children in their order. One that is refused doesn't keep the others from being applied; a server that
 * cannot be reached does.
 * @throws ClusterError Unavailable, Conflict, NamespaceTerminating; Outdated; WritesFenced
 */
export async function applyChildren(
  resource: KubeObject,
  children: readonly KubeObject[],
  cluster: Cluster,
  writer: Writer,
  tell: Tell,
): Promise<ChildFailure[]> {
  const failures: ChildFailure[] = [];
  for (const child of children) {
    const ref = refOf(child);
    const observed = cluster.get(ref);
    const other = observed === undefined ? undefined : otherOwner(observed, resource);
    if (other !== undefined) {
      const message = `${ref.kind} ${ref.name} exists and belongs to ${other.name}: it is left alone`;
      // The one that leaves makes room by itself, soon.
      failures.push({ ref, code: other.leaving ? "Conflict" : "NameTaken", message });
      if (!other.leaving) tell({ type: "Warning", reason: "NameTaken", message });
      continue;
    }
    // Patching what is being deleted changes nothing; its deletion queues the resource, which makes it anew.
    if (observed?.metadata.deletionTimestamp !== undefined) continue;
    // Nothing is waited for where nothing is sent: ten thousand resources in which nothing differs are soon gone through.
    if (observed !== undefined && writer.isApplied(child, observed)) continue;
    // What it gets now, the garbage collector would only have to find again.
    if (isLeaving(resource, cluster)) break;
    const failure = await attempt(ref, tell, async () => {
      const takenFrom = await writer.apply(child);
      if (takenFrom.length > 0) {
        const message = `Took back fields of ${ref.kind} ${ref.name} that were changed by ${takenFrom.join(", ")}`;
        tell({ type: "Warning", reason: "FieldTakenBack", message });
      }
    });
    if (failure !== undefined) failures.push(failure);
  }
  return failures;
}

/** Deletes the objects, each only if it is still that very one. */
export async function deleteChildren(
  objects: readonly KubeObject[],
  writer: Writer,
  tell: Tell,
): Promise<ChildFailure[]> {
  const failures: ChildFailure[] = [];
  for (const object of objects) {
    const failure = await attempt(refOf(object), tell, () => writer.delete(object));
    if (failure !== undefined) failures.push(failure);
  }
  return failures;
}

/** Whether the resource went, or began to go, since it was decided on. */
function isLeaving(resource: KubeObject, cluster: Cluster): boolean {
  const now = cluster.get(refOf(resource));
  return now?.metadata.uid !== resource.metadata.uid || now?.metadata.deletionTimestamp !== undefined;
}

/** What would meet the next object as well. */
const MET_BY_ALL: readonly ClusterErrorCode[] = ["Unavailable", "Conflict", "NamespaceTerminating"];

/** A refusal of this one object is answered; whatever would meet the next one as well is thrown. */
async function attempt(
  ref: ObjectRef,
  tell: Tell,
  write: () => Promise<void>,
): Promise<ChildFailure | undefined> {
  try {
    await write();
    return undefined;
  } catch (thrown) {
    if (!(thrown instanceof ClusterError) || MET_BY_ALL.includes(thrown.code)) throw thrown;
    const message = `${ref.kind} ${ref.name} was refused: ${messageOf(thrown)}`;
    tell({ type: "Warning", reason: `Child${thrown.code}`, message });
    return { ref, code: thrown.code, message };
  }
}

/**
 * Who else the object belongs to; undefined if it is the resource's, or was (`kubectl delete --cascade=orphan` takes
 * the owner references off what was applied, and the next resource of that name takes it over). Force would take
 * anybody's object over, so this is asked first.
 */
function otherOwner(
  observed: KubeObject,
  resource: KubeObject,
): { name: string; leaving: boolean } | undefined {
  const controller = controllerOf(observed);
  if (controller === undefined) {
    const applied = observed.metadata.annotations?.[APPLIED] !== undefined;
    return applied ? undefined : { name: "no resource of Naru", leaving: false };
  }
  if (controller.uid === resource.metadata.uid) return undefined;
  // The garbage collector has not come by yet since a resource of that name was deleted.
  const leaving = sameKind(controller, resource) && controller.name === resource.metadata.name;
  return { name: `${controller.kind} ${controller.name}`, leaving };
}
