import { canonicalJson, sameJson, shortHash } from "./canonical.ts";
import { type KubeObject, ownerReferenceTo } from "./objects.ts";

/**
 * The past inputs of a resource, each kept as an immutable ControllerRevision, as StatefulSets and DaemonSets do: what
 * was served can be kept and gone back to after `spec` has moved on.
 *
 * They are children like any other: `decide` returns those that stay (`keptRevisions`), and pruning removes the rest.
 * That keeps the choice pure. The engine only writes them before status, so that no status names a lost input.
 */
export const CONTROLLER_REVISION = { apiVersion: "apps/v1", kind: "ControllerRevision" } as const;
export const REVISION_LABEL = "naru.dev/revision";

/** How many are kept, as a Deployment's `revisionHistoryLimit`. */
const KEPT = 10;

export interface Revision {
  /** Names the input: equal inputs have equal names. */
  readonly name: string;
  /** Rises each time an input becomes the current one. */
  readonly number: number;
  readonly input: unknown;
}

/** The name of an input's revision: 10 characters that stay the same whatever the order of its fields. */
export function revisionOf(input: unknown): string {
  return shortHash(canonicalJson(input));
}

/** The revisions among the objects (those that the resource owns), oldest first. Others are left out. */
export function readRevisions(objects: readonly KubeObject[]): Revision[] {
  return objects
    .flatMap((object) => {
      const name = object.metadata.labels?.[REVISION_LABEL];
      const isRevision = object.kind === CONTROLLER_REVISION.kind && name !== undefined;
      return isRevision && typeof object.revision === "number"
        ? [{ name, number: object.revision, input: object.data }]
        : [];
    })
    .sort((a, b) => a.number - b.number);
}

function findRevision(revisions: readonly Revision[], name: string): Revision | undefined {
  return revisions.find((revision) => revision.name === name);
}

/**
 * The ControllerRevisions that should exist: the current input's, those `inUse` however old, and the newest of the
 * rest, `limit` in all. A current input that was kept before becomes the newest again.
 * @throws Error if the current input and a kept one differ and have one name (a collision in 47 bits)
 */
export function keptRevisions(request: {
  owner: KubeObject;
  observed: readonly Revision[];
  current: object;
  inUse: readonly string[];
  labels?: Readonly<Record<string, string>>;
  limit?: number;
}): KubeObject[] {
  const { owner, observed, current, limit = KEPT } = request;
  // A kept input that is current again, itself, has its name already.
  const same = observed.find((revision) => revision.input === current);
  const name = same?.name ?? revisionOf(current);
  const known = same ?? findRevision(observed, name);
  if (known !== undefined && !sameJson(known.input, current)) {
    throw new Error(`two inputs of ${owner.metadata.name} have the revision ${name}`);
  }
  const others = observed.filter((revision) => revision !== known);
  const newest = others.reduce((number, revision) => Math.max(number, revision.number), 0);
  const number = known !== undefined && known.number > newest ? known.number : newest + 1;
  const inUse = others.filter((revision) => request.inUse.includes(revision.name));
  const room = Math.max(limit - 1 - inUse.length, 0);
  const idle = others.filter((revision) => !inUse.includes(revision));
  const recent = room === 0 ? [] : idle.slice(-room);
  return [...inUse, ...recent, { name, number, input: current }]
    .sort((a, b) => a.number - b.number)
    .map((revision) => revisionObject(owner, revision, request.labels ?? {}));
}

function revisionObject(
  owner: KubeObject,
  revision: Revision,
  labels: Readonly<Record<string, string>>,
): KubeObject {
  const { name, namespace } = owner.metadata;
  return {
    ...CONTROLLER_REVISION,
    metadata: {
      name: `${name}-${revision.name}`,
      ...(namespace === undefined ? {} : { namespace }),
      labels: { ...labels, [REVISION_LABEL]: revision.name },
      ownerReferences: [ownerReferenceTo(owner)],
    },
    data: revision.input,
    revision: revision.number,
  };
}
