import { NaruError } from "../../lib/errors.ts";

export function broken(error: Error): NaruError {
  return new NaruError({
    code: "BackendFailed",
    message: `the backend's connection broke before it answered (${codeOf(error)})`,
    remedy: "look at the restarts and the log of the ModelServing's pods",
    status: 502,
    cause: error,
  });
}

/** The error's code, not its message, which holds addresses. */
export function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return "unknown";
  return "code" in error && typeof error.code === "string" ? error.code : error.name;
}

/** Whether nobody was there to take the connection: the backend itself has said nothing. */
export function isConnectionRefused(error: unknown): boolean {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if (codeOf(cause) === "ECONNREFUSED") return true;
  }
  return false;
}

/**
 * For so long a request whose connection is refused is tried again. A pod is Ready before every node's proxy, or
 * standalone's hosts file, leads to it: the first requests to a Service that just had no pod come into that gap.
 */
export const REFUSED_MS = 1000;
export const REFUSED_PAUSE_MS = 50;

/** Node's parser lets through what undici would not send: odd bytes in a path. */
export function unforwardable(): NaruError {
  return new NaruError({
    code: "InvalidRequest",
    message: "the request's method, path or headers can't be passed on",
    remedy: "send a path that begins with a slash, percent-encoded",
    status: 400,
  });
}
