import { NaruError } from "../errors.ts";

/**
 * The protobuf wire format, as far as the inference protocol uses it: varints, fixed 32 and 64 bits, and
 * length-delimited fields (https://protobuf.dev/programming-guides/encoding/). Written by hand because a raw
 * tensor must become a view of the received bytes: protobuf libraries copy it at least once.
 */

export const WireType = { varint: 0, fixed64: 1, lengthDelimited: 2, fixed32: 5 } as const;

/** The first byte(s) of a field: its number and its wire type. */
export function tagOf(field: number, wireType: number): number {
  return ((field << 3) | wireType) >>> 0;
}

/** A message that isn't what the protocol says: the sender's fault, always. */
export function invalidMessage(reason: string): NaruError {
  return new NaruError({
    code: "InvalidGrpcMessage",
    status: 400,
    message: `the gRPC message can't be read: ${reason}`,
    remedy: "send the messages of the Open Inference Protocol's inference.proto",
  });
}

/** Reads fields from `bytes` between `position` and `end`. Every method throws NaruError 400 past the end. */
export class ProtobufReader {
  readonly bytes: Buffer;
  position: number;
  readonly end: number;

  constructor(bytes: Buffer, start = 0, end: number = bytes.length) {
    this.bytes = bytes;
    this.position = start;
    this.end = end;
  }

  get done(): boolean {
    return this.position >= this.end;
  }

  /** Next field's tag; field 0 is refused. */
  tag(): number {
    const tag = this.uint32();
    if (tag >>> 3 === 0) throw invalidMessage("field number 0");
    return tag;
  }

  #byte(): number {
    if (this.position >= this.end) throw invalidMessage("it ends inside a field");
    return this.bytes[this.position++] as number;
  }

  /** A varint's low 32 bits, as unsigned. Longer ones are truncated, as protobuf prescribes. */
  uint32(): number {
    let value = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      const byte = this.#byte();
      if (shift < 32) value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value >>> 0;
    }
    throw invalidMessage("a varint is longer than ten bytes");
  }

  int32(): number {
    return this.uint32() | 0;
  }

  bool(): boolean {
    return this.uint64() !== 0n;
  }

  uint64(): bigint {
    const start = this.position;
    let low = 0;
    // 49 bits fit a double exactly: nearly every varint ends here, without a BigInt on the way.
    let scale = 1;
    for (let index = 0; index < 7; index += 1) {
      const byte = this.#byte();
      low += (byte & 0x7f) * scale;
      if (byte < 0x80) return BigInt(low);
      scale *= 128;
    }
    this.position = start;
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.#byte();
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt.asUintN(64, value);
    }
    throw invalidMessage("a varint is longer than ten bytes");
  }

  int64(): bigint {
    return BigInt.asIntN(64, this.uint64());
  }

  /** An int64 that must be a safe integer (a dimension, a count). */
  integer(): number {
    const byte = this.bytes[this.position];
    if (byte !== undefined && byte < 0x80 && this.position < this.end) {
      this.position += 1;
      return byte;
    }
    const value = Number(this.int64());
    if (!Number.isSafeInteger(value)) throw invalidMessage("an integer is beyond 2^53");
    return value;
  }

  float(): number {
    const at = this.#advance(4);
    return this.bytes.readFloatLE(at);
  }

  double(): number {
    const at = this.#advance(8);
    return this.bytes.readDoubleLE(at);
  }

  /** A view of the field's bytes: it lives as long as the message's buffer does. */
  view(): Buffer {
    const length = this.uint32();
    const at = this.#advance(length);
    return this.bytes.subarray(at, at + length);
  }

  string(): string {
    const length = this.uint32();
    const at = this.#advance(length);
    return this.bytes.toString("utf8", at, at + length);
  }

  /** A reader of the embedded message that follows. */
  message(): ProtobufReader {
    const length = this.uint32();
    const at = this.#advance(length);
    return new ProtobufReader(this.bytes, at, at + length);
  }

  /** Skips a field that this version doesn't know, or that it knows under another wire type. */
  skip(tag: number): void {
    switch (tag & 7) {
      case WireType.varint:
        this.uint64();
        return;
      case WireType.fixed64:
        this.#advance(8);
        return;
      case WireType.lengthDelimited:
        this.#advance(this.uint32());
        return;
      case WireType.fixed32:
        this.#advance(4);
        return;
      default:
        throw invalidMessage(`wire type ${tag & 7}`);
    }
  }

  #advance(length: number): number {
    const at = this.position;
    if (length > this.end - at) throw invalidMessage("it ends inside a field");
    this.position = at + length;
    return at;
  }
}

/** Writes fields one after another into a buffer that grows. Proto3's rule (defaults are absent) is the caller's. */
export class ProtobufWriter {
  #bytes: Buffer;
  #position: number;

  /** `capacity`: expected size in bytes. `reserved`: bytes left free in front, for a frame's header. */
  constructor(capacity = 256, reserved = 0) {
    this.#bytes = Buffer.allocUnsafe(Math.max(capacity + reserved, 16));
    this.#position = reserved;
  }

  /** What was written, the reserved bytes included; a view. */
  finish(): Buffer {
    return this.#bytes.subarray(0, this.#position);
  }

  #room(length: number): void {
    const needed = this.#position + length;
    if (needed <= this.#bytes.length) return;
    const grown = Buffer.allocUnsafe(Math.max(needed, this.#bytes.length * 2));
    this.#bytes.copy(grown, 0, 0, this.#position);
    this.#bytes = grown;
  }

  uint32(value: number): void {
    this.#room(5);
    let rest = value >>> 0;
    while (rest > 0x7f) {
      this.#bytes[this.#position++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    this.#bytes[this.#position++] = rest;
  }

  /** Any int64 or uint64; negative numbers take ten bytes, as in protobuf. */
  uint64(value: bigint): void {
    let rest = BigInt.asUintN(64, value);
    this.#room(10);
    while (rest > 0x7fn) {
      this.#bytes[this.#position++] = Number(rest & 0x7fn) | 0x80;
      rest >>= 7n;
    }
    this.#bytes[this.#position++] = Number(rest);
  }

  integer(value: number): void {
    if (value >= 0 && value <= 0xffffffff) this.uint32(value);
    else this.uint64(BigInt(value));
  }

  float(value: number): void {
    this.#room(4);
    this.#position = this.#bytes.writeFloatLE(value, this.#position);
  }

  double(value: number): void {
    this.#room(8);
    this.#position = this.#bytes.writeDoubleLE(value, this.#position);
  }

  string(field: number, value: string): void {
    const length = Buffer.byteLength(value);
    this.uint32(tagOf(field, WireType.lengthDelimited));
    this.uint32(length);
    this.#room(length);
    this.#bytes.write(value, this.#position);
    this.#position += length;
  }

  bytes(field: number, value: Uint8Array): void {
    this.uint32(tagOf(field, WireType.lengthDelimited));
    this.uint32(value.length);
    this.append(value);
  }

  /** Bytes without a tag: the content of a field whose tag and length are already written. */
  append(value: Uint8Array): void {
    this.#room(value.length);
    this.#bytes.set(value, this.#position);
    this.#position += value.length;
  }

  fixed32(value: number): void {
    this.#room(4);
    this.#position = this.#bytes.writeUInt32LE(value, this.#position);
  }

  /** Opens an embedded message or packed list; hand the mark to `close`. */
  open(field: number): number {
    this.uint32(tagOf(field, WireType.lengthDelimited));
    this.#room(1);
    this.#position += 1;
    return this.#position;
  }

  close(mark: number): void {
    const length = this.#position - mark;
    if (length < 0x80) {
      this.#bytes[mark - 1] = length;
      return;
    }
    // One byte was kept for the length: make room for the rest of it.
    const extra = length < 0x4000 ? 1 : length < 0x200000 ? 2 : length < 0x10000000 ? 3 : 4;
    this.#room(extra);
    this.#bytes.copyWithin(mark + extra, mark, this.#position);
    const end = this.#position + extra;
    this.#position = mark - 1;
    this.uint32(length);
    this.#position = end;
  }
}
