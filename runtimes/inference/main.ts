import { inferenceConfig } from "../../lib/config/inference.ts";
import { readConfigFile } from "../../lib/process/config-file.ts";
import type { StartRuntime } from "../runtime.ts";
import { startInference } from "./server.ts";

/** The inference server, as `runtimes/main.ts` starts it. */
export const start: StartRuntime = async ({ env, log }) => {
  const config = await readConfigFile(env.configDir, "inference.json", inferenceConfig);
  return startInference(config, env, log);
};
