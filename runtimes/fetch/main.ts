import { fetchArtifacts } from "../../lib/artifacts/fetch-artifacts.ts";
import { fetchConfig } from "../../lib/config/fetch.ts";
import { readConfigFile } from "../../lib/process/config-file.ts";
import type { RuntimeContext } from "../runtime.ts";
import { eventLogger } from "./event-log.ts";

/** The init container of an inference pod: brings the model's files to NARU_MODELS_DIR, then ends. */
export async function start({ env, log }: RuntimeContext): Promise<undefined> {
  const config = await readConfigFile(env.configDir, "fetch.json", fetchConfig);
  const began = performance.now();
  await fetchArtifacts(config, {
    directory: env.modelsDir,
    owner: env.podName === "" ? "local" : env.podName,
    env: process.env,
    onEvent: eventLogger(log),
  });
  log.info(
    { files: config.files.length, milliseconds: Math.round(performance.now() - began) },
    "all files are here and verified",
  );
}
