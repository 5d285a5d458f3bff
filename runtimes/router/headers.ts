import type { IncomingHttpHeaders, OutgoingHttpHeaders } from "node:http";
import { TIMEOUT_HEADER } from "../../lib/http/deadline.ts";
import { REQUEST_ID_HEADER } from "../../lib/telemetry/logger.ts";

/** Which revision answered. */
export const REVISION_HEADER = "naru-revision";

/** Headers of one connection, not of the message (RFC 9110 §7.6.1), which a proxy must not pass on. */
const HOP_BY_HOP: ReadonlySet<string> = new Set([
  "connection",
  "keep-alive",
  "proxy-connection",
  "proxy-authenticate",
  "proxy-authorization",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
  // The server has answered an expectation by itself (100 Continue) before the request is passed on.
  "expect",
]);

/** Written anew for each hop. */
const OWN: ReadonlySet<string> = new Set([REQUEST_ID_HEADER, TIMEOUT_HEADER, "x-forwarded-for"]);

export interface ForwardedHeaders {
  readonly requestId: string;
  /** Milliseconds that are left until the deadline. */
  readonly remaining: number;
  readonly client: string | undefined;
}

/**
 * The headers of a request as the backend gets them, as name, value, name, value: all that are the message's own,
 * in their order and spelling, content-encoding untouched; and the request's id, the time left and the client.
 */
export function requestHeaders(
  raw: readonly string[],
  parsed: IncomingHttpHeaders,
  own: ForwardedHeaders,
): string[] {
  const named = connectionTokens(parsed.connection);
  const headers: string[] = [];
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i] ?? "";
    const lower = name.toLowerCase();
    if (HOP_BY_HOP.has(lower) || OWN.has(lower) || named?.includes(lower) === true) continue;
    headers.push(name, raw[i + 1] ?? "");
  }
  headers.push(
    REQUEST_ID_HEADER,
    own.requestId,
    TIMEOUT_HEADER,
    String(Math.max(1, Math.ceil(own.remaining))),
  );
  if (own.client !== undefined) {
    const before = parsed["x-forwarded-for"];
    headers.push("x-forwarded-for", before === undefined ? own.client : `${String(before)}, ${own.client}`);
  }
  return headers;
}

/** The headers of a backend's answer as the client gets them. */
export function responseHeaders(
  received: IncomingHttpHeaders,
  requestId: string,
  revision: string,
): OutgoingHttpHeaders {
  const named = connectionTokens(received.connection);
  const headers: OutgoingHttpHeaders = {};
  for (const name in received) {
    if (HOP_BY_HOP.has(name) || named?.includes(name) === true) continue;
    headers[name] = received[name];
  }
  headers[REQUEST_ID_HEADER] = requestId;
  headers[REVISION_HEADER] = revision;
  return headers;
}

/** Headers that `Connection` names as its own; undefined in the usual case, where it names none. */
function connectionTokens(connection: string | undefined): string[] | undefined {
  if (connection === undefined || /^(close|keep-alive)$/i.test(connection)) return undefined;
  return connection
    .toLowerCase()
    .split(",")
    .map((token) => token.trim());
}
