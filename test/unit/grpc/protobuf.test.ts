import * as fc from "fast-check";
import { expect, test } from "vitest";
import { NaruError } from "../../../lib/errors.ts";
import { ProtobufReader, ProtobufWriter } from "../../../lib/grpc/protobuf.ts";

function reading(bytes: Iterable<number>): ProtobufReader {
  return new ProtobufReader(Buffer.from([...bytes]));
}

test("varints are protobuf's: the documentation's examples", () => {
  expect(reading([0x96, 0x01]).uint32()).toBe(150);
  expect(reading([0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]).int64()).toBe(-2n);
  expect(reading([0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]).int32()).toBe(-2);
});

test("every 64-bit integer comes back", () => {
  const any = fc.oneof(
    fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
    fc.nat({ max: 70 }).map((bits) => BigInt.asIntN(64, (1n << BigInt(bits)) - 1n)),
  );
  fc.assert(
    fc.property(any, (value) => {
      const writer = new ProtobufWriter();
      writer.uint64(value);
      expect(new ProtobufReader(writer.finish()).int64()).toBe(value);
    }),
  );
});

test("an integer beyond 2^53 is refused, not rounded", () => {
  const writer = new ProtobufWriter();
  writer.uint64(2n ** 53n);
  expect(() => new ProtobufReader(writer.finish()).integer()).toThrow("beyond 2^53");
});

test("an embedded message's length takes as many bytes as it needs", () => {
  for (const length of [0, 1, 127, 128, 16_383, 16_384, 2_097_152]) {
    const writer = new ProtobufWriter(16, 5);
    const mark = writer.open(1);
    writer.append(new Uint8Array(length).fill(7));
    writer.close(mark);
    writer.string(2, "after");
    const reader = new ProtobufReader(writer.finish(), 5);
    expect(reader.tag()).toBe(0x0a);
    const embedded = reader.message();
    expect(embedded.end - embedded.position).toBe(length);
    expect(reader.tag()).toBe(0x12);
    expect(reader.string()).toBe("after");
    expect(reader.done).toBe(true);
  }
});

test("an eleventh byte of a varint, group wire types, and field 0 are refused", () => {
  expect(() => reading(new Array(11).fill(0xff)).uint64()).toThrow("longer than ten");
  expect(() => reading(new Array(11).fill(0xff)).uint32()).toThrow("longer than ten");
  expect(() => reading([]).skip(0x0b)).toThrow("wire type 3");
  expect(() => reading([0x02]).tag()).toThrow("field number 0");
});

test("whatever the bytes, reading ends inside them or throws a NaruError 400", () => {
  const methods = [
    "tag",
    "uint32",
    "int64",
    "integer",
    "float",
    "double",
    "view",
    "string",
    "message",
  ] as const;
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 24 }),
      fc.array(fc.constantFrom(...methods), { maxLength: 8 }),
      (bytes, calls) => {
        const reader = new ProtobufReader(Buffer.from(bytes));
        try {
          for (const call of calls) reader[call]();
        } catch (error) {
          expect(error).toBeInstanceOf(NaruError);
          expect((error as NaruError).status).toBe(400);
        }
        expect(reader.position).toBeLessThanOrEqual(bytes.length);
      },
    ),
  );
});
