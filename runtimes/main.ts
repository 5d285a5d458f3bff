#!/usr/bin/env node
import { readEnvironment } from "../lib/process/environment.ts";
import { runProgram } from "../lib/process/run.ts";
import { createLogger } from "../lib/telemetry/logger.ts";
import type { StartRuntime } from "./runtime.ts";

/** The programs of the runtime image. Each is loaded only when it is the one that was asked for. */
const PROGRAMS: Readonly<Record<string, () => Promise<{ start: StartRuntime }>>> = {
  inference: () => import("./inference/main.ts"),
  router: () => import("./router/main.ts"),
  fetch: () => import("./fetch/main.ts"),
};

const name = process.argv[2] ?? "";
const load = Object.hasOwn(PROGRAMS, name) ? PROGRAMS[name] : undefined;
if (load === undefined) {
  process.stderr.write(`usage: main <${Object.keys(PROGRAMS).join("|")}>\n`);
  process.exit(2);
}

const log = createLogger(name);
await runProgram(async () => {
  const { start } = await load();
  return start({ env: readEnvironment(process.env), log });
}, log);
