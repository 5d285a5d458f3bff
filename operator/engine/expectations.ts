import type { Clock } from "./clock.ts";
import type { Cluster } from "./cluster.ts";
import { type KubeObject, type ObjectRef, refKey, refOf } from "./objects.ts";

/**
 * Reading one's own writes. The cache that decisions read lags behind the server, so after a write it may still show
 * the time before it. Deciding on that would repeat a step, or copy an old value (replicas) over a newer one.
 *
 * So each write leaves an expectation, and its resource isn't decided again until the cache has caught up with all of
 * them: it shows that version or a later one. There is no polling: what ends the wait is the watch event that carries
 * the change, and that event queues the resource by itself. As a last resort (the event was lost with a watch, or the
 * object went again before the cache saw it) an expectation lapses after LONGEST_WAIT: the writes that could do harm
 * carry a resourceVersion, so that acting on an old copy costs a Conflict and no more.
 */
const LONGEST_WAIT = 10_000;

/** One resource's writes that the cache doesn't show yet. */
export class Expectations {
  readonly #clock: Clock;
  /** Made when it is needed: most resources wait for nothing, most of the time. */
  #pending: Map<string, Expectation> | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** `answer` is what the server stored. */
  wrote(answer: KubeObject): void {
    const version = answer.metadata.resourceVersion;
    const met = (seen: KubeObject | undefined): boolean =>
      seen !== undefined && !isOlder(seen.metadata.resourceVersion, version);
    this.#expect(refOf(answer), met, answer.metadata.uid);
  }

  deleted(object: KubeObject): void {
    const { uid } = object.metadata;
    this.#expect(
      refOf(object),
      (seen) => seen?.metadata.uid !== uid || seen?.metadata.deletionTimestamp !== undefined,
      uid,
    );
  }

  /** A write based on `stale` met a Conflict: something newer exists. */
  outdated(stale: KubeObject): void {
    const version = stale.metadata.resourceVersion;
    this.#expect(refOf(stale), (seen) => seen?.metadata.resourceVersion !== version, stale.metadata.uid);
  }

  /** A watch told that the object is gone: nothing about it can be waited for. */
  gone(object: KubeObject): void {
    const key = refKey(refOf(object));
    const uid = this.#pending?.get(key)?.uid;
    if (uid === undefined || uid === object.metadata.uid) this.#pending?.delete(key);
  }

  /** Milliseconds that may pass before the resource is decided again; 0: now. */
  wait(cluster: Cluster): number {
    const pending = this.#pending;
    if (pending === undefined) return 0;
    const now = this.#clock.monotonic();
    let longest = 0;
    for (const [key, expectation] of pending) {
      const left = expectation.until - now;
      if (left <= 0 || expectation.met(cluster.get(expectation.ref))) pending.delete(key);
      else longest = Math.max(longest, left);
    }
    if (pending.size === 0) this.#pending = undefined;
    return longest;
  }

  #expect(ref: ObjectRef, met: Expectation["met"], uid: string | undefined): void {
    this.#pending ??= new Map();
    this.#pending.set(refKey(ref), { ref, uid, met, until: this.#clock.monotonic() + LONGEST_WAIT });
  }
}

interface Expectation {
  readonly ref: ObjectRef;
  readonly uid: string | undefined;
  readonly met: (seen: KubeObject | undefined) => boolean;
  readonly until: number;
}

/** Versions are decimal integers (see Cluster.get); one that isn't is never called older, since nothing is known. */
function isOlder(version: string | undefined, than: string | undefined): boolean {
  const integer = /^\d+$/;
  if (version === undefined || than === undefined || !integer.test(version) || !integer.test(than))
    return false;
  return BigInt(version) < BigInt(than);
}
