import { isConnectionRefused, REFUSED_MS } from "./forward-errors.ts";

/** Methods that may be repeated by their definition (RFC 9110 §9.2.2). */
const IDEMPOTENT: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS", "PUT", "DELETE"]);

/** V2 inference only reads: the protocol knows no effect of it. */
export function isInference(url: string): boolean {
  const query = url.indexOf("?");
  const path = query === -1 ? url : url.slice(0, query);
  return path.startsWith("/v2/models/") && path.endsWith("/infer");
}

/** A request whose connection failed before a byte of an answer came. */
export interface FailedRequest {
  readonly method: string;
  readonly url: string;
  /** The connection was open: the backend may have the request. */
  readonly sent: boolean;
  /** The whole body is in memory, or none of it was read yet. */
  readonly bodyUntouched: boolean;
  readonly repeats: number;
  /** Requests wait until a backend is ready instead of failing. */
  readonly holds: boolean;
  readonly error: Error;
  /** Since it was first forwarded, in milliseconds. */
  readonly milliseconds: number;
}

/**
 * What becomes of it.
 * - The connection could not be opened: nothing was sent, so any request may go elsewhere, as long as its body
 *   has not begun to be read. Once (`now`), and where it was refused, for REFUSED_MS (`pause`). Where requests are
 *   held, it waits until a backend is ready (`hold`), behind those that wait already.
 * - The connection broke before any answer. A pooled connection may have been closed by the server while the
 *   request was on its way; over TCP that can't be told from a server that died while it worked. So only
 *   what may run twice is repeated: idempotent methods, and V2 inference, which by its protocol only reads;
 *   once. The rest fails.
 */
export function afterFailure(failed: FailedRequest): "now" | "pause" | "hold" | "fail" {
  const { sent, holds, repeats } = failed;
  if (!failed.bodyUntouched) return "fail";
  if (sent) {
    const mayRunTwice = IDEMPOTENT.has(failed.method) || isInference(failed.url);
    return repeats === 0 && mayRunTwice ? "now" : "fail";
  }
  if (holds) return "hold";
  if (repeats === 0) return "now";
  return isConnectionRefused(failed.error) && failed.milliseconds < REFUSED_MS ? "pause" : "fail";
}
