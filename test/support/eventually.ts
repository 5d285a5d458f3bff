import { setTimeout as delay } from "node:timers/promises";

const FIRST_WAIT_MILLISECONDS = 5;
const LONGEST_WAIT_MILLISECONDS = 50;

/**
 * Waits until `look` answers something other than undefined or false, and answers that. What it throws counts as
 * "not yet", and is the failure's cause if it never does. The limit only ends what hangs: a busy machine may take
 * long, and waiting costs nothing where the condition comes true.
 */
export async function eventually<T>(
  what: string,
  look: () => T | undefined | false | Promise<T | undefined | false>,
  milliseconds = 30_000,
): Promise<T> {
  const until = performance.now() + milliseconds;
  let wait = FIRST_WAIT_MILLISECONDS;
  let cause: unknown;
  do {
    try {
      const seen = await look();
      if (seen !== undefined && seen !== false) return seen;
      cause = undefined;
    } catch (thrown) {
      cause = thrown;
    }
    await delay(wait);
    // Looking every few milliseconds for seconds takes the processor from what is waited for.
    wait = Math.min(wait * 1.25, LONGEST_WAIT_MILLISECONDS);
  } while (performance.now() < until);
  throw new Error(`not seen in ${milliseconds} ms: ${what}`, { cause });
}
