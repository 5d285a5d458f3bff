import { expect, test } from "vitest";
import { fromFloat16Bits, toFloat16Bits } from "../../../lib/v2/float16.ts";

test("every binary16 value survives the way to a number and back", () => {
  for (let bits = 0; bits < 0x10000; bits += 1) {
    const value = fromFloat16Bits(bits);
    if (Number.isNaN(value)) expect(toFloat16Bits(value) & 0x7fff).toBeGreaterThan(0x7c00);
    else if (toFloat16Bits(value) !== bits) expect.fail(`${bits} came back as ${toFloat16Bits(value)}`);
  }
});

test.each([
  // Ties go to the even neighbour; a float64 just beside a tie does not.
  [1 + 2 ** -11, 0x3c00],
  [1 + 3 * 2 ** -11, 0x3c02],
  [1 + 2 ** -11 + 2 ** -40, 0x3c01],
  [1 + 3 * 2 ** -11 - 2 ** -40, 0x3c01],
  [65519.99, 0x7bff],
  [65520, 0x7c00],
  [-65520, 0xfc00],
  [2 ** -25, 0],
  [2 ** -25 + 2 ** -60, 1],
  [2 ** -14, 0x0400],
])("%d rounds to nearest, ties to even", (value, bits) => {
  expect(toFloat16Bits(value)).toBe(bits);
});
