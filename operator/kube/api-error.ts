import { messageOf } from "../../lib/errors.ts";
import { ClusterError, type ClusterErrorCode } from "../engine/cluster.ts";

/** What an API server said, or that it said nothing: a ClusterError that still knows the answer. */
export class ApiError extends ClusterError {
  /** HTTP status; 0 where there was no answer. */
  readonly status: number;
  /** metav1.Status' reason (`AlreadyExists`, `Expired`, …); empty where there is none. */
  readonly reason: string;
  /** metav1.Status' causes: of an Invalid the fields, of a conflict of server-side apply the managers. */
  readonly causes: readonly StatusCause[];
  /** Milliseconds that the server asked to be left alone; undefined where it did not. */
  readonly retryAfter: number | undefined;

  constructor(
    code: ClusterErrorCode,
    message: string,
    fields: {
      status: number;
      reason?: string;
      causes?: readonly StatusCause[];
      retryAfter?: number | undefined;
      cause?: unknown;
    },
  ) {
    super(code, message, fields.cause === undefined ? undefined : { cause: fields.cause });
    this.name = "ApiError";
    this.status = fields.status;
    this.reason = fields.reason ?? "";
    this.causes = fields.causes ?? [];
    this.retryAfter = fields.retryAfter;
  }

  /** A resourceVersion or a continue token that the server knows no more: list again. */
  get expired(): boolean {
    return this.status === 410 || this.reason === "Expired" || this.reason === "Gone";
  }
}

export interface StatusCause {
  readonly reason?: string;
  readonly message?: string;
  readonly field?: string;
}

const LONGEST_MESSAGE = 1024;

/**
 * The error that an answer of 400 or above stands for, also as an ERROR event inside a watch. `what` names the request,
 * and `text` is the body: a metav1.Status, or whatever a proxy wrote.
 */
export function errorFromAnswer(
  what: string,
  status: number,
  text: string,
  retryAfter?: number | undefined,
): ApiError {
  const said = parseStatus(text);
  const message = (said.message ?? text.trim()).slice(0, LONGEST_MESSAGE);
  const causes = said.details?.causes ?? [];
  const terminating = status === 403 && causes.some((cause) => cause.reason === "NamespaceTerminating");
  return new ApiError(
    terminating ? "NamespaceTerminating" : codeOf(status),
    `${what}: ${status}${message === "" ? "" : ` ${message}`}`,
    {
      status,
      reason: said.reason ?? "",
      causes,
      retryAfter: retryAfter ?? secondsToMilliseconds(said.details?.retryAfterSeconds),
    },
  );
}

/** The error for a request that had no whole answer. */
export function errorFromSilence(what: string, thrown: unknown): ApiError {
  const code = thrown instanceof Error && "code" in thrown ? ` (${String(thrown.code)})` : "";
  return new ApiError("Unavailable", `${what}: ${messageOf(thrown) || "no answer"}${code}`, {
    status: 0,
    cause: thrown,
  });
}

/** The whole seconds of a Retry-After header, in milliseconds; its other form, a date, is not used by API servers. */
export function retryAfterOf(header: string | string[] | undefined): number | undefined {
  return typeof header === "string" && /^\d{1,6}$/.test(header)
    ? secondsToMilliseconds(Number(header))
    : undefined;
}

/**
 * 401 is Unavailable: it is met by every request alike, and mended by a token that rotates, not by a change of the
 * object. So is 410: the way out, listing again, is the reflector's own.
 */
function codeOf(status: number): ClusterErrorCode {
  if (status === 403) return "Forbidden";
  if (status === 404) return "NotFound";
  if (status === 409) return "Conflict";
  if (status === 401 || status === 408 || status === 410 || status === 429 || status >= 500) {
    return "Unavailable";
  }
  return "Invalid";
}

interface Status {
  readonly message?: string;
  readonly reason?: string;
  readonly details?: { readonly causes?: readonly StatusCause[]; readonly retryAfterSeconds?: number };
}

function parseStatus(text: string): Status {
  if (!text.startsWith("{")) return {};
  try {
    return JSON.parse(text) as Status;
  } catch {
    // Cut short, or a proxy's own page: the text itself is told.
    return {};
  }
}

function secondsToMilliseconds(seconds: number | undefined): number | undefined {
  return seconds === undefined || seconds === 0 ? undefined : seconds * 1000;
}
