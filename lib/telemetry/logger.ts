import { randomUUID } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";
import pino from "pino";
import { messageOf, NaruError } from "../errors.ts";

export type Logger = pino.Logger;

/** Carries a request's id from the first server that saw it to the last. */
export const REQUEST_ID_HEADER = "x-request-id";

/**
 * A JSON log on standard output, one line an event: `level`, `time` (ISO), `program`, `msg`. Give it names, ids, sizes
 * and times, never what a request or a tensor holds.
 */
export function createLogger(
  program: string,
  { level = process.env.NARU_LOG_LEVEL ?? "info", destination }: LoggerOptions = {},
): Logger {
  const options: pino.LoggerOptions = {
    level: level in pino.levels.values ? level : "info",
    base: { program },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
    serializers: { err: serializeError },
  };
  return destination === undefined ? pino(options) : pino(options, destination);
}

export interface LoggerOptions {
  /** trace, debug, info, warn, error, fatal or silent; default `NARU_LOG_LEVEL`, else info. */
  level?: string;
  destination?: pino.DestinationStream;
}

/**
 * The id that a client or a proxy gave the request, else a new one. An id goes into logs and headers: one that
 * holds anything else than what ids are made of is not taken.
 */
export function requestIdOf(headers: IncomingHttpHeaders): string {
  const given = headers[REQUEST_ID_HEADER];
  return typeof given === "string" && /^[\w.:@/+=-]{1,128}$/.test(given) ? given : randomUUID();
}

/** Fields of an error for the log: never its own properties, which may hold a body. */
function serializeError(thrown: unknown): Record<string, unknown> {
  if (!(thrown instanceof Error)) return { message: messageOf(thrown) };
  const cause = thrown.cause === undefined ? {} : { cause: messageOf(thrown.cause) };
  // The stack of an error thrown on purpose says nothing that its code does not.
  if (thrown instanceof NaruError) {
    return { code: thrown.code, message: thrown.message, remedy: thrown.remedy, ...cause };
  }
  return { type: thrown.name, message: thrown.message, stack: thrown.stack, ...cause };
}
