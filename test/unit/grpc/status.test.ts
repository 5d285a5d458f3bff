import { expect, test } from "vitest";
import { NaruError } from "../../../lib/errors.ts";
import { encodeGrpcMessage, GrpcStatus, grpcStatusOf, outcomeOf } from "../../../lib/grpc/status.ts";

test.each([
  [400, GrpcStatus.INVALID_ARGUMENT],
  [404, GrpcStatus.NOT_FOUND],
  [413, GrpcStatus.RESOURCE_EXHAUSTED],
  [499, GrpcStatus.CANCELLED],
  [500, GrpcStatus.INTERNAL],
  [503, GrpcStatus.UNAVAILABLE],
  [504, GrpcStatus.DEADLINE_EXCEEDED],
])("HTTP %i is gRPC %i", (http, grpc) => {
  expect(grpcStatusOf(http)).toBe(grpc);
});

test("an error that nobody threw on purpose says nothing of itself", () => {
  expect(outcomeOf(new TypeError("secret"))).toEqual({
    code: GrpcStatus.INTERNAL,
    message: "internal error",
  });
  expect(outcomeOf(new NaruError({ code: "A", message: "b", remedy: "c", status: 404 }))).toEqual({
    code: GrpcStatus.NOT_FOUND,
    message: "b",
  });
});

test("grpc-message is printable ASCII, percent-encoded, and short", () => {
  expect(encodeGrpcMessage("plain, with spaces")).toBe("plain, with spaces");
  expect(encodeGrpcMessage("100%\n")).toBe("100%25%0A");
  expect(encodeGrpcMessage("나루")).toBe("%EB%82%98%EB%A3%A8");
  expect(decodeURIComponent(encodeGrpcMessage("모델 100%"))).toBe("모델 100%");
  expect(encodeGrpcMessage("x".repeat(5000)).length).toBeLessThanOrEqual(2048);
});
