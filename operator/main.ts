#!/usr/bin/env node
import { CommanderError } from "commander";
import { runProgram } from "../lib/process/run.ts";
import { naruVersion } from "../lib/process/version.ts";
import { createLogger } from "../lib/telemetry/logger.ts";
import { type ManagerOptions, readOptions } from "./manager/options.ts";

/** Commander has printed what it ends with: help and version with 0, else a command line that makes no sense. */
function readCommandLine(): ManagerOptions {
  try {
    return readOptions(process.argv.slice(2), naruVersion());
  } catch (thrown) {
    if (thrown instanceof CommanderError) process.exit(thrown.exitCode === 0 ? 0 : 2);
    throw thrown;
  }
}

const log = createLogger("operator");
await runProgram(async () => {
  const options = readCommandLine();
  log.level = options.logLevel;
  // What it is made of takes a while to load: not for --help.
  const { startManager } = await import("./manager/manager.ts");
  return startManager(options, log, naruVersion());
}, log);
