import { constants } from "node:os";
import type { Logger } from "../telemetry/logger.ts";
import { terminationOf, writeTermination } from "./termination.ts";

/** A program that serves until it is told to stop. */
export interface RunningProgram {
  /** Brings it to an end without losing a request. */
  drain(): Promise<void>;
  /** Ends it at once; whatever is in flight is lost. */
  stop(): void;
}

/** Starts a program. One that resolves with undefined has done its work and serves nothing. */
export type StartProgram = () => Promise<RunningProgram | undefined>;

/**
 * Runs a program as a container's process should: the first SIGTERM or SIGINT drains and exits 0, a second one
 * stops at once with 128 + the signal's number (so does one that comes before the program serves), and what can't be recovered from is logged, written as the termination
 * message, and exits 1. Never returns while the process lives.
 */
export async function runProgram(start: StartProgram, log: Logger): Promise<void> {
  let program: RunningProgram | undefined;
  let stopping = false;

  const fatal = (thrown: unknown): never => {
    log.fatal({ err: thrown }, terminationOf(thrown).message);
    writeTermination(thrown, undefined, (problem) => log.debug({ problem }, "no termination message"));
    process.exit(1);
  };
  process.on("uncaughtException", fatal);
  process.on("unhandledRejection", fatal);

  const onSignal = (signal: "SIGTERM" | "SIGINT") => {
    if (stopping || program === undefined) {
      log.warn({ signal }, stopping ? "stops at once" : "stops before it serves");
      program?.stop();
      process.exit(128 + constants.signals[signal]);
    }
    stopping = true;
    log.info({ signal }, "drains");
    program.drain().then(() => {
      log.info("drained");
      process.exit(0);
    }, fatal);
  };
  process.on("SIGTERM", () => onSignal("SIGTERM"));
  process.on("SIGINT", () => onSignal("SIGINT"));

  try {
    program = await start();
  } catch (thrown) {
    fatal(thrown);
  }
  if (program === undefined) process.exit(0);
}
