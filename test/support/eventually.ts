import { setTimeout as delay } from "node:timers/promises";

/**
 * Waits until `look` answers something other than undefined or false, and answers that. What it throws counts as
 * "not yet", and is the failure's cause if it never does.
 */
export async function eventually<T>(
  what: string,
  look: () => T | undefined | false | Promise<T | undefined | false>,
  milliseconds = 10_000,
): Promise<T> {
  const until = performance.now() + milliseconds;
  let cause: unknown;
  do {
    try {
      const seen = await look();
      if (seen !== undefined && seen !== false) return seen;
      cause = undefined;
    } catch (thrown) {
      cause = thrown;
    }
    await delay(5);
  } while (performance.now() < until);
  throw new Error(`not seen in ${milliseconds} ms: ${what}`, { cause });
}
