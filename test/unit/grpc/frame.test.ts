import * as fc from "fast-check";
import { expect, test } from "vitest";
import { FrameReader, frameHeaderBytes, sealFrame } from "../../../lib/grpc/frame.ts";

function frameOf(message: Uint8Array): Buffer {
  return sealFrame(Buffer.concat([Buffer.alloc(frameHeaderBytes), message]));
}

test("messages come out whole wherever the bytes between them are cut", () => {
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 6 }),
      fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1, maxLength: 20 }),
      (messages, cuts) => {
        const bytes = Buffer.concat(messages.map(frameOf));
        const reader = new FrameReader(64);
        const read: Buffer[] = [];
        for (let at = 0, turn = 0; at < bytes.length; turn += 1) {
          const length = cuts[turn % cuts.length] ?? 1;
          for (const { message } of reader.push(bytes.subarray(at, at + length))) read.push(message);
          at += length;
        }
        reader.end();
        expect(read.map((each) => each.toString("hex"))).toEqual(
          messages.map((each) => Buffer.from(each).toString("hex")),
        );
      },
    ),
  );
});

test("a message that came in one chunk is not copied", () => {
  const bytes = frameOf(Buffer.from("abc"));
  expect(new FrameReader(64).push(bytes)[0]?.message.buffer).toBe(bytes.buffer);
});

test("a message that announces more than the bound is refused before it comes", () => {
  const header = Buffer.from([0, 0, 0, 0, 65]);
  expect(() => new FrameReader(64).push(header)).toThrow("65 bytes is larger than the bound of 64");
});

test("a flag other than 0 and 1, and a message that was cut, are refused", () => {
  expect(() => new FrameReader(64).push(Buffer.from([2, 0, 0, 0, 0]))).toThrow("compressed flag");
  const reader = new FrameReader(64);
  reader.push(Buffer.from([0, 0, 0]));
  expect(() => reader.end()).toThrow("inside a message");
});
