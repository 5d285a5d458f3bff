import type { IncomingHttpHeaders, OutgoingHttpHeaders } from "node:http2";
import { encodeGrpcMessage, type GrpcOutcome, GrpcStatus } from "../../../lib/grpc/status.ts";
import { REQUEST_ID_HEADER } from "../../../lib/telemetry/logger.ts";
import { formatGrpcTimeout } from "./timeout.ts";

export function trailersOf({ code, message }: GrpcOutcome): OutgoingHttpHeaders {
  return { "grpc-status": String(code), "grpc-message": encodeGrpcMessage(message) };
}

export function statusOf(trailers: OutgoingHttpHeaders): number {
  const status = trailers["grpc-status"];
  return status === undefined ? GrpcStatus.UNKNOWN : Number(status);
}

const CONNECTION_OWN: ReadonlySet<string> = new Set([
  "te",
  "connection",
  "keep-alive",
  "transfer-encoding",
  "upgrade",
]);

/** The message's own headers: no pseudo-headers, nothing of the connection. */
export function messageHeaders(received: IncomingHttpHeaders): OutgoingHttpHeaders {
  const headers: OutgoingHttpHeaders = {};
  for (const name in received) {
    if (name.startsWith(":") || CONNECTION_OWN.has(name)) continue;
    headers[name] = received[name];
  }
  return headers;
}

/** A call's headers as the backend gets them; `remaining`: milliseconds until its deadline, if it has one. */
export function requestHeaders(
  received: IncomingHttpHeaders,
  requestId: string,
  remaining: number | undefined,
): OutgoingHttpHeaders {
  const headers = messageHeaders(received);
  for (const name of [":method", ":path", ":authority", ":scheme"] as const) {
    if (received[name] !== undefined) headers[name] = received[name];
  }
  // Names that a header of ours must not be confused with were dropped with the rest of the connection's own.
  headers.te = "trailers";
  headers[REQUEST_ID_HEADER] = requestId;
  if (remaining !== undefined) headers["grpc-timeout"] = formatGrpcTimeout(remaining);
  return headers;
}
