import { setFlagsFromString } from "node:v8";
import { inferenceConfig } from "../../lib/config/inference.ts";
import { readConfigFile } from "../../lib/process/config-file.ts";
import type { StartRuntime } from "../runtime.ts";
import { startInference } from "./server.ts";

/**
 * Each request leaves a few KB behind and nothing that lives on. With V8's own choice the young generation grows until
 * the process holds 100 MB more, for no speed. The memory of tensors lies outside both generations.
 */
setFlagsFromString("--max-semi-space-size=8");
setFlagsFromString("--semi-space-growth-factor=1");

/** The inference server, as `runtimes/main.ts` starts it. */
export const start: StartRuntime = async ({ env, log }) => {
  const config = await readConfigFile(env.configDir, "inference.json", inferenceConfig);
  return startInference(config, env, log);
};
