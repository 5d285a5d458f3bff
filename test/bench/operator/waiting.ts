import { setTimeout as delay } from "node:timers/promises";
import type { RunningContender } from "./contenders.ts";

const LONGEST_PASS_MILLISECONDS = 900_000;

/** What is waited for will not come: waiting on would only hide why. */
export class NoProgress extends Error {}

/** Reconciles that have ended, however. */
export function reconciles(running: RunningContender): Promise<number> {
  return running.metric("controller_runtime_reconcile_total");
}

/** Resolves when nothing was reconciled for three seconds: what its own writes caused is over. */
export async function quiet(running: RunningContender): Promise<void> {
  let seen = -1;
  await until("quiet", 3_000, async () => {
    const now = await reconciles(running);
    const same = now === seen;
    seen = now;
    return same;
  });
}

/** Looks every so many milliseconds; a program that does not answer yet counts as "not yet". */
export async function until(what: string, every: number, look: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + LONGEST_PASS_MILLISECONDS;
  let cause: unknown;
  while (performance.now() < deadline) {
    try {
      if (await look()) return;
    } catch (thrown) {
      if (thrown instanceof NoProgress) throw thrown;
      cause = thrown;
    }
    await delay(every);
  }
  throw new Error(`not seen in ${seconds(LONGEST_PASS_MILLISECONDS)}: ${what}`, { cause });
}

export function seconds(milliseconds: number): string {
  return `${(milliseconds / 1000).toFixed(1)} s`;
}
