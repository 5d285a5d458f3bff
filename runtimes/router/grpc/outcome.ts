import { GrpcStatus } from "../../../lib/grpc/status.ts";

const ERRORS: ReadonlySet<number> = new Set<number>([
  GrpcStatus.UNKNOWN,
  GrpcStatus.DEADLINE_EXCEEDED,
  GrpcStatus.INTERNAL,
  GrpcStatus.UNAVAILABLE,
  GrpcStatus.DATA_LOSS,
]);

/**
 * Whether a grpc-status is the server's own failure, as HTTP says by ≥ 500. Not RESOURCE_EXHAUSTED or UNIMPLEMENTED, which
 * a client earns by a message too large or a method that is not there.
 */
export function isError(code: number): boolean {
  return ERRORS.has(code);
}
