import type { FetchEvent } from "../../lib/artifacts/fetch-artifacts.ts";
import type { Logger } from "../../lib/telemetry/logger.ts";

/** A line of progress at most this often, for whoever watches the init container's log. */
const PROGRESS_INTERVAL_MS = 5000;

/** Writes what happens to each file into the log. */
export function eventLogger(log: Logger, now: () => number = Date.now): (event: FetchEvent) => void {
  let lastProgress = now();
  return (event) => {
    const { kind, ...fields } = event;
    switch (kind) {
      case "cached":
        return log.info(fields, "is here already");
      case "fetched":
        return log.info(fields, "fetched and verified");
      case "retry":
        return log.warn(
          {
            path: event.path,
            attempt: event.attempt,
            delayMilliseconds: Math.round(event.delayMilliseconds),
            err: event.why,
          },
          "tries again",
        );
      case "progress":
        if (now() - lastProgress < PROGRESS_INTERVAL_MS) return;
        lastProgress = now();
        return log.info(fields, "progress");
    }
  };
}
