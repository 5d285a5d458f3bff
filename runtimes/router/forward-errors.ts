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

/** Node's parser lets through what undici would not send: `OPTIONS *`, odd bytes in a path. */
export function unforwardable(): NaruError {
  return new NaruError({
    code: "InvalidRequest",
    message: "the request's method, path or headers can't be passed on",
    remedy: "send a path that begins with a slash, percent-encoded",
    status: 400,
  });
}
