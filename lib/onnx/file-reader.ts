import { closeSync, openSync, readSync } from "node:fs";

/** Thrown for a file that is not Protocol Buffers, or ends too early. */
export class MalformedFile extends Error {}

/** A field of a message: where its value is, in bytes of the file. Only length-delimited fields have a length > 0. */
export interface Field {
  readonly number: number;
  readonly start: number;
  readonly length: number;
  /** The value of a varint; 0 of others. */
  readonly value: number;
}

const chunkBytes = 64 * 1024;

/**
 * Walks a Protocol Buffers file without reading what is skipped: the weights of a model are most of it. Synchronous,
 * since it reads a few chunks of 64 KB, once, while a model is loaded.
 */
export class ProtobufFile {
  readonly #descriptor: number;
  readonly #chunk = Buffer.alloc(chunkBytes);
  #chunkStart = 0;
  #chunkLength = 0;

  constructor(path: string) {
    this.#descriptor = openSync(path, "r");
  }

  [Symbol.dispose](): void {
    closeSync(this.#descriptor);
  }

  /** The fields of the message that lies in [start, end). */
  *fields(start: number, end: number): Generator<Field> {
    let position = start;
    const varint = (): number => {
      let value = 0;
      for (let shift = 0; shift < 70; shift += 7) {
        if (position >= end) throw new MalformedFile("a number is cut off");
        const byte = this.#byte(position);
        position += 1;
        value += (byte & 0x7f) * 2 ** shift;
        if (byte < 0x80) return value;
      }
      throw new MalformedFile("a number has no end");
    };
    while (position < end) {
      const tag = varint();
      const number = Math.floor(tag / 8);
      if (number === 0) throw new MalformedFile("a field has the number 0");
      switch (tag % 8) {
        case 0: {
          const value = varint();
          yield { number, start: position, length: 0, value };
          break;
        }
        case 1:
          position += 8;
          break;
        case 2: {
          const length = varint();
          if (position + length > end) throw new MalformedFile("a field is longer than the file");
          yield { number, start: position, length, value: 0 };
          position += length;
          break;
        }
        case 5:
          position += 4;
          break;
        default:
          throw new MalformedFile(`a field has the wire type ${tag % 8}`);
      }
    }
    if (position > end) throw new MalformedFile("a field is cut off");
  }

  /** At most 64 KB. */
  text(field: Field): string {
    const length = Math.min(field.length, chunkBytes);
    const bytes = Buffer.alloc(length);
    const read = readSync(this.#descriptor, bytes, 0, length, field.start);
    return bytes.toString("utf8", 0, read);
  }

  #byte(position: number): number {
    const offset = position - this.#chunkStart;
    if (offset >= 0 && offset < this.#chunkLength) return this.#chunk[offset] ?? 0;
    this.#chunkStart = position;
    this.#chunkLength = readSync(this.#descriptor, this.#chunk, 0, chunkBytes, position);
    if (this.#chunkLength === 0) throw new MalformedFile("the file is cut off");
    return this.#chunk[0] ?? 0;
  }
}
