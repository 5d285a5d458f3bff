import { NaruError } from "../errors.ts";

export interface ErrorAnswer {
  status: number;
  headers: Record<string, string>;
  /** The error form of the Open Inference Protocol V2. */
  body: { error: string };
}

/** After this many seconds a client may try again: the queue that refused it turns over faster. */
const RETRY_AFTER_SECONDS = "1";

/**
 * How anything thrown is answered over HTTP. What was not thrown on purpose is our fault and says nothing of
 * itself to the client; the caller logs it.
 */
export function errorAnswer(thrown: unknown): ErrorAnswer {
  if (thrown instanceof NaruError) {
    const headers: Record<string, string> = { "naru-error-code": thrown.code };
    if (thrown.status === 503) headers["retry-after"] = RETRY_AFTER_SECONDS;
    return { status: thrown.status, headers, body: { error: thrown.message } };
  }
  const status = clientStatus(thrown);
  if (status !== undefined && thrown instanceof Error) {
    return { status, headers: {}, body: { error: thrown.message } };
  }
  return { status: 500, headers: {}, body: { error: "internal error" } };
}

/** The status of an error that fastify found in the request itself (a body too large, a wrong content type). */
function clientStatus(thrown: unknown): number | undefined {
  if (!(thrown instanceof Error) || !("statusCode" in thrown)) return undefined;
  const status = thrown.statusCode;
  return typeof status === "number" && status >= 400 && status < 500 ? status : undefined;
}
