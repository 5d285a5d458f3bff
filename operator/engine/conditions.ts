import type { Condition } from "./objects.ts";
import { cut } from "./text.ts";

/**
 * `conditions` with `change` in the place of the condition of its type, or at the end. `lastTransitionTime` is kept
 * unless `status` changes (metav1: "the last time the condition transitioned from one status to another").
 */
export function setCondition(
  conditions: readonly Condition[],
  change: Omit<Condition, "lastTransitionTime">,
  now: Date,
): Condition[] {
  const before = findCondition(conditions, change.type);
  const lastTransitionTime = before?.status === change.status ? before.lastTransitionTime : rfc3339(now);
  const after: Condition = {
    ...change,
    reason: cut(change.reason, LONGEST_REASON),
    message: cut(change.message, LONGEST_MESSAGE),
    lastTransitionTime,
  };
  return before === undefined
    ? [...conditions, after]
    : conditions.map((condition) => (condition === before ? after : condition));
}

export function findCondition(conditions: readonly Condition[], type: string): Condition | undefined {
  return conditions.find((condition) => condition.type === type);
}

/** metav1.Condition's limits. */
const LONGEST_MESSAGE = 32_768;
const LONGEST_REASON = 1024;

/** metav1.Time: whole seconds, UTC. */
export function rfc3339(time: Date): string {
  return `${time.toISOString().slice(0, 19)}Z`;
}
