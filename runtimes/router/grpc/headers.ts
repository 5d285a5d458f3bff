import type { IncomingHttpHeaders, OutgoingHttpHeaders } from "node:http2";
import { encodeGrpcMessage, type GrpcOutcome, GrpcStatus } from "../../../lib/grpc/status.ts";

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
