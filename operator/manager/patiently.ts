import { setTimeout as delay } from "node:timers/promises";
import { messageOf } from "../../lib/errors.ts";
import { ClusterError } from "../engine/cluster.ts";
import type { Log } from "../engine/log.ts";

const FIRST_WAIT = 200;
const LONGEST_WAIT = 10_000;

/**
 * Does what a program needs before it can go on, again and again while the API server can't be reached: whoever
 * started before it must not end for that. Any other failure is the program's.
 */
export async function patiently<T>(log: Log, what: string, run: () => Promise<T>): Promise<T> {
  for (let wait = FIRST_WAIT; ; wait = Math.min(wait * 2, LONGEST_WAIT)) {
    try {
      return await run();
    } catch (thrown) {
      if (!(thrown instanceof ClusterError) || thrown.code !== "Unavailable") throw thrown;
      log.warn({ error: messageOf(thrown) }, what);
      await delay(wait * (0.5 + Math.random() / 2));
    }
  }
}
