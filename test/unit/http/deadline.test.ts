import fc from "fast-check";
import { expect, test } from "vitest";
import { deadlineOf, parseGrpcTimeout } from "../../../lib/http/deadline.ts";

test("a grpc-timeout is digits and a unit", () => {
  expect(parseGrpcTimeout("100m")).toBe(100);
  expect(parseGrpcTimeout("2S")).toBe(2000);
  expect(parseGrpcTimeout("1H")).toBe(3_600_000);
  expect(parseGrpcTimeout("500u")).toBe(0.5);
  for (const wrong of ["", "m", "100", "-1m", "1.5S", "123456789m", "1s", " 1m", "1m "]) {
    expect(parseGrpcTimeout(wrong), wrong).toBeUndefined();
  }
});

test("the client may shorten the server's limit and never lengthen it", () => {
  fc.assert(
    fc.property(fc.nat(10_000_000), fc.integer({ min: 1, max: 100_000 }), fc.nat(), (asked, limit, now) => {
      const deadline = deadlineOf({ "x-request-timeout-ms": String(asked) }, limit, now);
      return deadline === now + Math.min(asked, limit);
    }),
  );
  expect(deadlineOf({}, 300, 1000)).toBe(1300);
  expect(deadlineOf({ "grpc-timeout": "5m" }, 300, 1000)).toBe(1005);
});

test("a timeout that is not a time is the client's mistake", () => {
  for (const value of ["soon", "-1", "1e3", "", "12345678901"]) {
    expect(() => deadlineOf({ "x-request-timeout-ms": value }, 300, 0), value).toThrow(
      expect.objectContaining({ code: "InvalidTimeout", status: 400 }),
    );
  }
  expect(() => deadlineOf({ "grpc-timeout": "soon" }, 300, 0)).toThrow("grpc-timeout");
});
