import type { WatchEvent } from "./cluster.ts";
import { findCondition } from "./conditions.ts";
import { keyOfResource } from "./event-keys.ts";
import type { KindCondition } from "./kind.ts";
import type { Condition, KubeObject } from "./objects.ts";

/** A condition of one resource that is not as it should be. */
export interface Amiss {
  readonly namespace: string;
  readonly name: string;
  readonly status: Condition["status"];
  /** Empty where nobody has answered yet. */
  readonly reason: string;
  /** Seconds since 1970. */
  readonly since: number;
}

/** How many resources of a kind have which conditions, and which of them are not well, kept up by the kind's watch. */
export class ConditionCensus {
  readonly kind: string;
  readonly conditions: readonly KindCondition[];
  /** What was counted: the cache's own objects, so that they cost no memory of their own. */
  readonly #counted = new Map<string, KubeObject>();
  readonly #counts = new Map<string, Record<Condition["status"], number>>();
  /** Keys by condition; who came first stays first, so that a bound cuts off the same ones each time. */
  readonly #amiss = new Map<string, Set<string>>();

  constructor(kind: string, conditions: readonly KindCondition[]) {
    this.kind = kind;
    this.conditions = conditions;
    for (const { type } of conditions) {
      this.#counts.set(type, { True: 0, False: 0, Unknown: 0 });
      this.#amiss.set(type, new Set());
    }
  }

  update({ type, object }: WatchEvent): void {
    const key = keyOfResource(object);
    const before = this.#counted.get(key);
    // Of what is being deleted nobody needs to be told that it does not serve.
    const after = type === "Deleted" || object.metadata.deletionTimestamp !== undefined ? undefined : object;
    if (after === undefined) this.#counted.delete(key);
    else this.#counted.set(key, after);
    for (const known of this.conditions) {
      const was = before && answerOf(before, known);
      const is = after && answerOf(after, known);
      if (was?.status === is?.status) continue;
      this.#count(known.type, was, -1);
      this.#count(known.type, is, 1);
      const amiss = is !== undefined && known.wanted !== undefined && is.status !== known.wanted;
      if (amiss) this.#amiss.get(known.type)?.add(key);
      else this.#amiss.get(known.type)?.delete(key);
    }
  }

  /** Resources by a condition's status. */
  counts(type: string): Readonly<Record<Condition["status"], number>> {
    return this.#counts.get(type) ?? { True: 0, False: 0, Unknown: 0 };
  }

  /** How many resources have this condition not as it should be. */
  amissCount(type: string): number {
    return this.#amiss.get(type)?.size ?? 0;
  }

  /** Those resources, at most so many, in the order in which they came to be so or were listed. */
  *amiss(known: KindCondition, most: number): Generator<Amiss> {
    let left = most;
    for (const key of this.#amiss.get(known.type) ?? []) {
      if (left-- <= 0) return;
      const object = this.#counted.get(key);
      const answer = object && answerOf(object, known);
      if (object === undefined || answer === undefined) continue;
      const { namespace = "", name } = object.metadata;
      const { status, reason } = answer;
      yield { namespace, name, status, reason, since: Date.parse(answer.lastTransitionTime) / 1000 };
    }
  }

  #count(type: string, answer: Answer | undefined, by: number): void {
    const counts = this.#counts.get(type);
    if (counts !== undefined && answer !== undefined) counts[answer.status] += by;
  }
}

type Answer = Pick<Condition, "status" | "reason" | "lastTransitionTime">;

/** What status says; of a resource that nobody has acted on, that it is unknown since the resource is there. */
function answerOf({ status, metadata }: KubeObject, { type, always }: KindCondition): Answer | undefined {
  const { conditions = [] } = (status ?? {}) as { conditions?: readonly Condition[] };
  const found = findCondition(conditions, type);
  if (found !== undefined || always !== true) return found;
  return { status: "Unknown", reason: "", lastTransitionTime: metadata.creationTimestamp ?? "" };
}
