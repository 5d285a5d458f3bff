import fc from "fast-check";
import { expect, test } from "vitest";
import {
  parseContentRange,
  parseUnsatisfiedRange,
  rangeValidator,
} from "../../../lib/artifacts/content-range.ts";
import { backoff, DEFAULT_RETRY } from "../../../lib/artifacts/download.ts";

test("every sound Content-Range is read as it was written", () => {
  const parts = fc.tuple(fc.nat(), fc.nat(), fc.option(fc.nat()));
  fc.assert(
    fc.property(parts, ([start, length, rest]) => {
      const end = start + length;
      const total = rest === null ? undefined : end + 1 + rest;
      expect(parseContentRange(`bytes ${start}-${end}/${total ?? "*"}`)).toEqual({ start, end, total });
    }),
  );
  fc.assert(fc.property(fc.nat(), (total) => parseUnsatisfiedRange(`bytes */${total}`) === total));
});

test("an unsound one is none, and nothing makes it throw", () => {
  for (const wrong of [
    "",
    "bytes",
    "bytes 5-4/10",
    "bytes 0-10/10",
    "bytes 0-9",
    "bytes -1-9/10",
    "items 0-9/10",
    "bytes 0-9/10, bytes 20-29/30",
    "bytes 0x0-9/10",
    "bytes 99999999999999999999-99999999999999999999/*",
  ]) {
    expect(parseContentRange(wrong), wrong).toBeUndefined();
  }
  fc.assert(
    fc.property(fc.string(), (text) => {
      const parsed = parseContentRange(text);
      expect(parsed === undefined || parsed.start <= parsed.end).toBe(true);
      const size = parseUnsatisfiedRange(text);
      expect(size === undefined || size >= 0).toBe(true);
    }),
  );
});

test("If-Range takes a strong ETag, else a date, never a weak one", () => {
  const date = "Tue, 24 Nov 2026 10:00:00 GMT";
  expect(rangeValidator('"abc"', date)).toBe('"abc"');
  expect(rangeValidator('W/"abc"', date)).toBe(date);
  expect(rangeValidator('W/"abc"', undefined)).toBeUndefined();
  expect(rangeValidator('"a\r\nx: y"', undefined)).toBeUndefined();
  expect(rangeValidator(undefined, "yesterday")).toBeUndefined();
});

test("backoff doubles, has an upper bound and at least half of it is certain", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 60 }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      (failures, r) => {
        const full = Math.min(30_000, 500 * 2 ** (failures - 1));
        const wait = backoff(DEFAULT_RETRY, failures, () => r);
        expect(wait).toBeGreaterThanOrEqual(full / 2);
        expect(wait).toBeLessThanOrEqual(full);
      },
    ),
  );
});
