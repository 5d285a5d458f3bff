import fc from "fast-check";
import { expect, test } from "vitest";
import { NaruError } from "../../../lib/errors.ts";
import { readEnvironment } from "../../../lib/process/environment.ts";
import { terminationLine, terminationOf } from "../../../lib/process/termination.ts";

test("a termination message is one line of JSON within 4 KiB, whatever was thrown", () => {
  fc.assert(
    fc.property(
      fc.string({ unit: "binary", maxLength: 9000, size: "max" }),
      fc.string({ unit: "grapheme", maxLength: 9000, size: "max" }),
      (message, remedy) => {
        const line = terminationLine({ code: "X", message, remedy });
        expect(Buffer.byteLength(line)).toBeLessThanOrEqual(4096);
        expect(line).not.toContain("\n");
        expect(JSON.parse(line).code).toBe("X");
      },
    ),
    { numRuns: 50 },
  );
  const short = { code: "DigestMismatch", message: "m", remedy: "r" };
  expect(JSON.parse(terminationLine(terminationOf(new NaruError(short))))).toEqual(short);
  expect(terminationOf("text")).toMatchObject({ code: "InternalError", message: "text" });
});

test("the environment has the defaults of a container and refuses a port that is none", () => {
  expect(readEnvironment({})).toMatchObject({
    configDir: "/etc/naru",
    httpPort: 8080,
    listenHost: "0.0.0.0",
  });
  expect(readEnvironment({ NARU_HTTP_PORT: "0" }).httpPort).toBe(0);
  for (const wrong of ["http", "-1", "65536", "80.5"]) {
    expect(() => readEnvironment({ NARU_GRPC_PORT: wrong }), wrong).toThrow("NARU_GRPC_PORT");
  }
});
