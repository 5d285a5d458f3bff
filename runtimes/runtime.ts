import type { RuntimeEnvironment } from "../lib/process/environment.ts";
import type { RunningProgram } from "../lib/process/run.ts";
import type { Logger } from "../lib/telemetry/logger.ts";

/** What each `runtimes/<program>/main.ts` exports as `start`. */
export type StartRuntime = (context: RuntimeContext) => Promise<RunningProgram | undefined>;

export interface RuntimeContext {
  env: RuntimeEnvironment;
  log: Logger;
}
