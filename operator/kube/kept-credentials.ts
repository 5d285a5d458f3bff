import { isDeepStrictEqual } from "node:util";
import type { Clock } from "../engine/clock.ts";
import type { Connection, Credentials } from "./connection.ts";

/** Milliseconds between two looks at the files that hold tokens and certificates (client-go: a minute, less 10 s). */
const LOOK_AGAIN = 10_000;
/** Milliseconds between two renewals: a server that refuses everything must not have us read files all the time. */
const RENEW_AGAIN = 1_000;

/**
 * Reads credentials no more often than is needed, and again when the server refuses them. `read` is told whether it
 * has to forget what it knows.
 */
export function keptCredentials(
  read: (anew: boolean) => Promise<Credentials>,
  clock: Clock,
): Connection["credentials"] {
  let kept: Promise<Credentials> | undefined;
  let keptAt = Number.NEGATIVE_INFINITY;
  let renewedAt = Number.NEGATIVE_INFINITY;
  let last: Credentials["tls"] = {};

  const readOnce = async (anew: boolean): Promise<Credentials> => {
    const credentials = await read(anew);
    if (!isDeepStrictEqual(credentials.tls, last)) last = credentials.tls;
    return { ...credentials, tls: last };
  };

  return ({ renew = false } = {}) => {
    const now = clock.monotonic();
    const anew = renew && now - renewedAt >= RENEW_AGAIN;
    if (kept !== undefined && !anew && now - keptAt < LOOK_AGAIN) return kept;
    if (anew) renewedAt = now;
    keptAt = now;
    const reading = readOnce(anew);
    kept = reading;
    // A failure (a file that is being replaced) is not kept.
    reading.catch(() => {
      if (kept === reading) kept = undefined;
    });
    return reading;
  };
}
