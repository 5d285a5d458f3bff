import { NaruError } from "../errors.ts";
import { GatheredBytes } from "../http/gathered-bytes.ts";
import { invalidMessage } from "./protobuf.ts";

/**
 * gRPC's length-prefixed messages: one byte (1: compressed), four bytes of length, big-endian, the message.
 * (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md)
 */
export const frameHeaderBytes = 5;

export interface Frame {
  readonly compressed: boolean;
  readonly message: Buffer;
}

/** Completes a frame whose message was encoded behind `frameHeaderBytes` reserved bytes. */
export function sealFrame(frame: Buffer): Buffer {
  frame[0] = 0;
  frame.writeUInt32BE(frame.length - frameHeaderBytes, 1);
  return frame;
}

/** Cuts a stream of bytes into messages, and keeps what is not yet whole. */
export class FrameReader {
  readonly #maxMessageBytes: number;
  readonly #pending = new GatheredBytes();
  /** Bytes that the frame at hand takes, header included; 0 while its header is not whole. */
  #wanted = 0;

  constructor(maxMessageBytes: number) {
    this.#maxMessageBytes = maxMessageBytes;
  }

  /** Bytes of a message that has not wholly come. */
  get pendingBytes(): number {
    return this.#pending.length;
  }

  /**
   * The messages that end in this chunk. A message that came in one chunk is a view of it.
   * Throws NaruError 413 for a message that announces more than the bound, 400 for what is not a frame.
   */
  push(chunk: Buffer): readonly Frame[] {
    if (this.#pending.length === 0 && chunk.length >= frameHeaderBytes) {
      const wanted = this.#wholeLength(chunk);
      if (wanted === chunk.length) return [frameOf(chunk)];
    }
    const frames: Frame[] = [];
    this.#pending.push(chunk);
    while (this.#pending.length >= frameHeaderBytes) {
      if (this.#wanted === 0) this.#wanted = this.#wholeLength(this.#pending.join());
      if (this.#pending.length < this.#wanted) break;
      const bytes = this.#pending.join();
      frames.push(frameOf(bytes.subarray(0, this.#wanted)));
      this.#pending.clear();
      if (bytes.length > this.#wanted) this.#pending.push(bytes.subarray(this.#wanted));
      this.#wanted = 0;
    }
    return frames;
  }

  /** To be called at the stream's end: throws NaruError 400 where a message was cut. */
  end(): void {
    if (this.#pending.length > 0) throw invalidMessage("the stream ended inside a message");
  }

  #wholeLength(bytes: Buffer): number {
    if (bytes[0] !== 0 && bytes[0] !== 1) throw invalidMessage("the compressed flag is neither 0 nor 1");
    const length = bytes.readUInt32BE(1);
    if (length > this.#maxMessageBytes) throw messageTooLarge(length, this.#maxMessageBytes);
    return length + frameHeaderBytes;
  }
}

function frameOf(bytes: Buffer): Frame {
  return { compressed: bytes[0] === 1, message: bytes.subarray(frameHeaderBytes) };
}

export function messageTooLarge(length: number, bound: number): NaruError {
  return new NaruError({
    code: "MessageTooLarge",
    status: 413,
    message: `a message of ${length} bytes is larger than the bound of ${bound}`,
    remedy: "send smaller batches, or raise maxRequestBytes",
  });
}
