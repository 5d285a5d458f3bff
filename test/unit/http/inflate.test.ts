import { describe, expect, test } from "vitest";
import { codingOf } from "../../../lib/http/inflate.ts";

describe("a Content-Encoding", () => {
  test.each([
    [undefined, "identity"],
    ["", "identity"],
    ["Identity", "identity"],
    ["gzip", "gzip"],
    [" GZIP ", "gzip"],
    ["x-gzip", "gzip"],
    ["deflate", "deflate"],
    ["br", undefined],
    ["gzip, gzip", undefined],
    ["constructor", undefined],
  ] as const)("%j is %j", (header, coding) => {
    expect(codingOf(header)).toBe(coding);
  });
});
