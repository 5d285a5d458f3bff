import { canonicalJson, shortHash } from "./canonical.ts";
import { type Cluster, ClusterError } from "./cluster.ts";
import { differs, fieldsHash, projectionHash, toApply } from "./diff.ts";
import type { Expectations } from "./expectations.ts";
import { type KubeObject, refKey, refOf } from "./objects.ts";

/** Thrown in place of a write when this process may not be the leader any more. Nothing was sent. */
export class WritesFenced extends Error {
  constructor() {
    super("the lease may be lost: nothing is written");
    this.name = "WritesFenced";
  }
}

/** Thrown where a child was to be applied only on the version that was seen, and is at another: it is decided anew. */
export class Outdated extends Error {
  constructor(cause: ClusterError) {
    super(cause.message, { cause });
    this.name = "Outdated";
  }
}

export type Verb = "apply" | "updateStatus" | "delete";

/**
 * The writes of one resource's reconciles. Each first asks the fence, since a lease is none by itself: a process that
 * was paused can wake up after its lease has gone to another. Each leaves what the next reconcile must wait for.
 */
export class Writer {
  readonly #cluster: Cluster;
  readonly #expectations: Expectations;
  readonly #mayWrite: () => boolean;
  readonly #wrote: (verb: Verb) => void;
  /** Children that the server stores in a way of its own; see `apply`. */
  #settled: Map<string, string> | undefined;

  constructor(options: {
    cluster: Cluster;
    expectations: Expectations;
    mayWrite: () => boolean;
    wrote: (verb: Verb) => void;
  }) {
    this.#cluster = options.cluster;
    this.#expectations = options.expectations;
    this.#mayWrite = options.mayWrite;
    this.#wrote = options.wrote;
  }

  /**
   * Whether nothing has to be sent for the child: `observed` is as wanted already. A server may store a value in a way
   * that `differs` doesn't know (a webhook, a field it rewrites). If its answer still differed, what it answered is
   * remembered, and sent again only when that or the child changes.
   */
  isApplied(child: KubeObject, observed: KubeObject): boolean {
    if (!differs(child, observed)) {
      this.#unsettle(child);
      return true;
    }
    const settled = this.#settled?.get(refKey(refOf(child)));
    return settled !== undefined && settled === settledAs(child, observed);
  }

  /** Answers the managers whose fields were taken back. @throws Outdated; what Cluster.apply throws */
  async apply(child: KubeObject): Promise<readonly string[]> {
    this.#fence("apply");
    const hash = fieldsHash(child);
    const answer = await this.#cluster.apply(toApply(child, hash)).catch((thrown: unknown) => {
      const conflict = thrown instanceof ClusterError && thrown.code === "Conflict";
      if (!conflict || child.metadata.resourceVersion === undefined) throw thrown;
      this.#expectations.outdated(child);
      throw new Outdated(thrown);
    });
    this.#expectations.wrote(answer.object);
    if (differs(child, answer.object, hash)) {
      this.#settled ??= new Map();
      this.#settled.set(refKey(refOf(child)), settledAs(child, answer.object));
    } else this.#unsettle(child);
    return answer.takenFrom;
  }

  async updateStatus(resource: KubeObject, status: unknown): Promise<void> {
    this.#fence("updateStatus");
    this.#expectations.wrote(await this.#cluster.updateStatus({ ...resource, status }));
  }

  async delete(object: KubeObject): Promise<void> {
    const { uid } = object.metadata;
    this.#fence("delete");
    await this.#cluster.delete(refOf(object), uid === undefined ? {} : { uid });
    this.#expectations.deleted(object);
    this.#unsettle(object);
  }

  #unsettle(object: KubeObject): void {
    this.#settled?.delete(refKey(refOf(object)));
  }

  #fence(verb: Verb): void {
    if (!this.#mayWrite()) throw new WritesFenced();
    this.#wrote(verb);
  }
}

function settledAs(child: KubeObject, stored: KubeObject): string {
  const { resourceVersion: _, ...metadata } = child.metadata;
  return `${shortHash(canonicalJson({ ...child, metadata }))} ${projectionHash(child, stored)}`;
}
