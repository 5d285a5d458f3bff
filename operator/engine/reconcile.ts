import { sameJson } from "./canonical.ts";
import { applyChildren, checkChildren, deleteChildren, type Tell } from "./children.ts";
import type { Clock } from "./clock.ts";
import { type Cluster, ClusterError } from "./cluster.ts";
import type { Expectations } from "./expectations.ts";
import type { ChildFailure, ControlledKind } from "./kind.ts";
import { type KubeObject, type ObjectKind, refKey, refOf, sameKind } from "./objects.ts";
import { unwanted } from "./prune.ts";
import { CONTROLLER_REVISION } from "./revisions.ts";
import { Outdated, type Writer } from "./writer.ts";

/** What the engine remembers of one resource between two reconciles; lost with the process, and nothing with it. */
export interface Memory {
  readonly uid: string | undefined;
  readonly expectations: Expectations;
  readonly writer: Writer;
  /** Children that were refused at the last attempt. */
  failures: readonly ChildFailure[];
  /** Monotonic milliseconds until which a refusal is told in the words that it had at first. */
  sameWordsUntil: number;
}

/**
 * Some refusals name a request, a port or a time, so that no two are alike. Status would change with each attempt, and a
 * change of status is what the next attempt follows, without a pause and without end.
 */
const SAME_WORDS = 60_000;

export interface Outcome {
  /** `conflict`: the resource, or a child, had changed since it was seen; nothing after that was written. */
  readonly result: "done" | "refused" | "conflict" | "gone";
  /** Milliseconds. */
  readonly requeueAfter?: number;
}

/**
 * One reconcile: observe, decide, then write in the order in which each write is true of what was written before.
 *
 * 1. ControllerRevisions: immutable and named by their content, they imply nothing by themselves, and status may name
 *    them. Written later, a crash could lose the input of a revision that status already calls the stable one.
 * 2. Status, with the resourceVersion that was decided on, before the children that it implies: a canary's step is
 *    claimed first. Whoever decides on a stale copy (a leader that lost its lease, a cache that lags) gets a Conflict
 *    here, before it has moved any traffic.
 * 3. Events: a transition is told once, by the one whose status was stored.
 * 4. The other children, in the order of the decision.
 * 5. Pruning, last: what replaces a child is there before it goes. If a child could not be applied, the owned objects
 *    of its kind stay as well, since one of them may be what it was to replace.
 *
 * @throws ClusterError NamespaceTerminating: nothing more can come of it; Unavailable, WritesFenced, and whatever the
 * kind throws: all are retried
 */
export async function reconcile<Observed>(
  resource: KubeObject,
  memory: Memory,
  owned: readonly KubeObject[],
  effects: { cluster: Cluster; kind: ControlledKind<Observed>; clock: Clock; tell: Tell },
  observe: (run: (signal: AbortSignal) => Promise<Observed>) => Promise<Observed>,
): Promise<Outcome> {
  const { cluster, kind, clock, tell } = effects;
  const { expectations, writer } = memory;
  checkShown(resource, kind.needs ?? [], cluster, tell);
  const observed = await observe((signal) => kind.observe(resource, cluster, signal, owned));
  const decision = kind.decide(resource, observed, clock.now(), memory.failures);
  checkChildren(resource, decision.children, kind.owns);

  const served = decision.children.filter((child) => cluster.serves(child));
  const revisions = served.filter((child) => sameKind(child, CONTROLLER_REVISION));
  const others = served.filter((child) => !sameKind(child, CONTROLLER_REVISION));

  const failures = await applyChildren(resource, revisions, cluster, writer, tell);
  if (!sameJson(resource.status ?? {}, decision.status ?? {})) {
    try {
      await writer.updateStatus(resource, decision.status);
    } catch (thrown) {
      if (!(thrown instanceof ClusterError)) throw thrown;
      if (thrown.code === "NotFound") return { result: "gone" };
      if (thrown.code !== "Conflict") throw thrown;
      expectations.outdated(resource);
      return { result: "conflict" };
    }
  }
  for (const event of decision.events) tell(event);
  try {
    failures.push(...(await applyChildren(resource, others, cluster, writer, tell)));
  } catch (thrown) {
    if (thrown instanceof Outdated) return { result: "conflict" };
    throw thrown;
  }
  const stay = (object: KubeObject): boolean => failures.some((failure) => sameKind(failure.ref, object));
  const going =
    decision.prune === false ? [] : unwanted(owned, decision.children).filter((object) => !stay(object));
  failures.push(...(await deleteChildren(going, writer, tell)));

  memory.failures = inKnownWords(failures, memory, clock.monotonic());
  const { requeueAfter } = decision;
  return {
    result: failures.length > 0 ? "refused" : "done",
    ...(requeueAfter === undefined ? {} : { requeueAfter }),
  };
}

function inKnownWords(
  failures: readonly ChildFailure[],
  memory: Memory,
  now: number,
): readonly ChildFailure[] {
  if (failures.length === 0) return failures;
  if (now >= memory.sameWordsUntil) {
    memory.sameWordsUntil = now + SAME_WORDS;
    return failures;
  }
  const isSame = (a: ChildFailure, b: ChildFailure): boolean =>
    a.code === b.code && refKey(a.ref) === refKey(b.ref);
  return failures.map((failure) => memory.failures.find((known) => isSame(known, failure)) ?? failure);
}

/**
 * What is not shown looks as if it were not there: a decision on that would forget what was made and remembered.
 * @throws ClusterError Unavailable
 */
function checkShown(resource: KubeObject, needs: readonly ObjectKind[], cluster: Cluster, tell: Tell): void {
  const { namespace = "" } = resource.metadata;
  const hidden = needs.find((kind) => !cluster.shows(kind, namespace));
  if (hidden === undefined) return;
  const message = `Nothing is decided: the operator can't read ${hidden.kind} (${hidden.apiVersion}) here now`;
  tell({ type: "Warning", reason: "KindUnreadable", message });
  throw new ClusterError("Unavailable", message);
}

/** An Event about the resource, as `Tell`. */
export function tellAbout(resource: KubeObject, cluster: Cluster): Tell {
  const { uid } = resource.metadata;
  return (event) =>
    cluster.event({ ...event, about: refOf(resource), ...(uid === undefined ? {} : { uid }) });
}
