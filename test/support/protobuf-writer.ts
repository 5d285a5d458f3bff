/** Protocol Buffers wire format, the part that writing an ONNX file takes. */
export class ProtobufWriter {
  readonly #parts: Uint8Array[] = [];

  /** int32, int64, enum, bool: a varint (negative numbers as 64-bit two's complement). */
  varint(field: number, value: number | bigint): this {
    this.#parts.push(encodeVarint((field << 3) | 0), encodeVarint(value));
    return this;
  }

  float(field: number, value: number): this {
    const bytes = new Uint8Array(4);
    new DataView(bytes.buffer).setFloat32(0, value, true);
    this.#parts.push(encodeVarint((field << 3) | 5), bytes);
    return this;
  }

  bytes(field: number, value: Uint8Array): this {
    this.#parts.push(encodeVarint((field << 3) | 2), encodeVarint(value.byteLength), value);
    return this;
  }

  string(field: number, value: string): this {
    return this.bytes(field, Buffer.from(value));
  }

  message(field: number, value: ProtobufWriter): this {
    return this.bytes(field, value.finish());
  }

  finish(): Uint8Array {
    return Buffer.concat(this.#parts);
  }
}

function encodeVarint(value: number | bigint): Uint8Array {
  let rest = BigInt.asUintN(64, BigInt(value));
  const bytes: number[] = [];
  while (rest > 0x7fn) {
    bytes.push(Number(rest & 0x7fn) | 0x80);
    rest >>= 7n;
  }
  bytes.push(Number(rest));
  return Uint8Array.from(bytes);
}
