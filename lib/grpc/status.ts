import { NaruError } from "../errors.ts";

/** gRPC's status codes (https://grpc.github.io/grpc/core/md_doc_statuscodes.html). */
export const GrpcStatus = {
  OK: 0,
  CANCELLED: 1,
  UNKNOWN: 2,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  ALREADY_EXISTS: 6,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  ABORTED: 10,
  OUT_OF_RANGE: 11,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  DATA_LOSS: 15,
  UNAUTHENTICATED: 16,
} as const;

/**
 * An HTTP status of Naru's errors as gRPC says the same. Not gRPC's own table for answers of proxies
 * (http-grpc-status-mapping.md), which calls a 404 UNIMPLEMENTED and a 400 INTERNAL: these statuses are ours,
 * and Triton answers a bad request with INVALID_ARGUMENT, an unknown model with NOT_FOUND.
 */
export function grpcStatusOf(httpStatus: number): number {
  switch (httpStatus) {
    case 401:
      return GrpcStatus.UNAUTHENTICATED;
    case 403:
      return GrpcStatus.PERMISSION_DENIED;
    case 404:
      return GrpcStatus.NOT_FOUND;
    case 408:
    case 504:
      return GrpcStatus.DEADLINE_EXCEEDED;
    case 409:
      return GrpcStatus.FAILED_PRECONDITION;
    case 413:
    case 429:
      return GrpcStatus.RESOURCE_EXHAUSTED;
    case 499:
      return GrpcStatus.CANCELLED;
    case 501:
      return GrpcStatus.UNIMPLEMENTED;
    case 502:
    case 503:
      return GrpcStatus.UNAVAILABLE;
    default:
      return httpStatus >= 400 && httpStatus < 500 ? GrpcStatus.INVALID_ARGUMENT : GrpcStatus.INTERNAL;
  }
}

/** What a call ends with; `message` is for the client to read. */
export interface GrpcOutcome {
  readonly code: number;
  readonly message: string;
}

/** What was thrown as a status. What is not a NaruError is a fault of ours, and its text stays here. */
export function outcomeOf(thrown: unknown): GrpcOutcome {
  if (thrown instanceof NaruError) return { code: grpcStatusOf(thrown.status), message: thrown.message };
  return { code: GrpcStatus.INTERNAL, message: "internal error" };
}

/**
 * `grpc-message` as the protocol wants it: UTF-8, with everything outside printable ASCII, and `%`,
 * percent-encoded. Cut at 2 KB, since it travels in a header.
 */
export function encodeGrpcMessage(message: string): string {
  if (/^[ -$&-~]{0,2048}$/.test(message)) return message;
  let encoded = "";
  for (const byte of Buffer.from(message, "utf8").subarray(0, 2048)) {
    encoded +=
      byte >= 0x20 && byte <= 0x7e && byte !== 0x25
        ? String.fromCharCode(byte)
        : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  }
  return encoded;
}
