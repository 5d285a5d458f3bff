import * as fc from "fast-check";
import { expect, test } from "vitest";
import { GatheredBytes } from "../../../lib/http/gathered-bytes.ts";

test("bytes come out in their order, whatever the pieces were and however often they were joined between", () => {
  const piece = fc.oneof(
    fc.uint8Array({ maxLength: 5 }),
    fc.uint8Array({ minLength: 300, maxLength: 1500 }),
    fc.constant(new Uint8Array(1024).fill(7)),
  );
  fc.assert(
    fc.property(fc.array(fc.tuple(piece, fc.boolean()), { maxLength: 40 }), (pieces) => {
      const gathered = new GatheredBytes();
      for (const [bytes, join] of pieces) {
        gathered.push(Buffer.from(bytes));
        if (join) gathered.join();
      }
      const whole = Buffer.concat(pieces.map(([bytes]) => bytes));
      expect(gathered.length).toBe(whole.length);
      expect(Buffer.concat(gathered.pieces).equals(whole)).toBe(true);
      expect(gathered.join().equals(whole)).toBe(true);
    }),
  );
});

test("a hundred thousand single bytes are kept in a few pieces, and none holds what it came in", () => {
  const read = Buffer.alloc(64 * 1024, 1);
  const gathered = new GatheredBytes();
  for (let at = 0; at < 100_000; at += 1)
    gathered.push(read.subarray(at % read.length, (at % read.length) + 1));
  expect(gathered.length).toBe(100_000);
  expect(gathered.pieces.length).toBeLessThan(20);
  expect(gathered.pieces.slice(1).some(({ buffer }) => buffer === read.buffer)).toBe(false);
});

test("what comes in one piece, or in large ones, is not copied", () => {
  const small = Buffer.from("abc");
  const alone = new GatheredBytes();
  alone.push(small);
  expect(alone.join()).toBe(small);

  const large = Buffer.alloc(16 * 1024);
  alone.push(large);
  expect(alone.pieces[1]).toBe(large);
});

test("a piece that was read stays as it was when more comes", () => {
  const gathered = new GatheredBytes();
  for (const byte of [1, 2, 3]) gathered.push(Buffer.from([byte]));
  const before = gathered.pieces.map((piece) => Buffer.from(piece));
  const seen = [...gathered.pieces];
  for (const byte of [4, 5, 6]) gathered.push(Buffer.from([byte]));
  expect(seen.map((piece) => [...piece])).toEqual(before.map((piece) => [...piece]));
});
