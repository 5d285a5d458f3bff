import type { ChildFailure } from "./kind.ts";
import { type KubeObject, refKey, refOf } from "./objects.ts";

/**
 * Children's names that somebody else's objects have, by the resources (as `namespace/name`) that wait for them. Such an
 * object belongs to nobody here, so its deletion would queue no one: who was told to remove it would wait for a backoff
 * of up to a quarter of an hour.
 */
export class TakenNames {
  readonly #waiting = new Map<string, ReadonlySet<string>>();

  /** What the resource waits for from now on. */
  set(key: string, failures: readonly ChildFailure[]): void {
    const taken = failures.filter(({ code }) => code === "NameTaken").map(({ ref }) => refKey(ref));
    if (taken.length === 0) this.#waiting.delete(key);
    else this.#waiting.set(key, new Set(taken));
  }

  whoWaitsFor(object: KubeObject): string[] {
    if (this.#waiting.size === 0) return [];
    const name = refKey(refOf(object));
    return [...this.#waiting].flatMap(([key, taken]) => (taken.has(name) ? [key] : []));
  }
}
