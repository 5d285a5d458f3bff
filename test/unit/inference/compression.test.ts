import { describe, expect, test } from "vitest";
import { encodingFor } from "../../../runtimes/inference/rest/compression.ts";

describe("what an answer is compressed with", () => {
  test.each([
    [undefined, undefined],
    ["gzip", "gzip"],
    ["deflate, gzip;q=0.5", "deflate"],
    ["gzip;q=0.2, DEFLATE ; q=0.8", "deflate"],
    ["br, zstd", undefined],
    ["gzip;q=0", undefined],
    ["gzip;q=x", undefined],
    ["*", undefined],
  ])("Accept-Encoding %s: %s", (accepted, encoding) => {
    expect(encodingFor(accepted, 5000)).toBe(encoding);
  });

  test("a short answer goes as it is", () => {
    expect(encodingFor("gzip", 100)).toBeUndefined();
  });
});
