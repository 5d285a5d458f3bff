import type { ServerHttp2Stream } from "node:http2";
import type { HeldBytes } from "../http/body-budget.ts";
import type { Decompress } from "./compression.ts";
import { type Frame, FrameReader, frameHeaderBytes } from "./frame.ts";
import { invalidMessage } from "./protobuf.ts";

export interface StreamWriter {
  /** Sends a sealed frame; resolves when there is room for the next. Resolves at once for a client that left. */
  write(frame: Buffer): Promise<void>;
}

/**
 * The messages of a stream, decompressed, each when it is asked for. `held` counts the bytes of those that were given out,
 * until whoever took them gives them back, and of what has come of the next.
 */
export async function* messagesOf(
  stream: ServerHttp2Stream,
  decompress: Decompress | undefined,
  maxMessageBytes: number,
  held: HeldBytes,
): AsyncGenerator<Buffer, void> {
  const reader = new FrameReader(maxMessageBytes);
  for await (const chunk of stream.iterator({ destroyOnReturn: false })) {
    held.grow(chunk.length);
    for (const frame of reader.push(chunk)) {
      held.shrink(frameHeaderBytes);
      if (!frame.compressed) {
        yield frame.message;
        continue;
      }
      const message = await expand(frame, decompress, maxMessageBytes, held);
      held.shrink(frame.message.length);
      yield message;
    }
  }
  reader.end();
}

export function writerTo(stream: ServerHttp2Stream): StreamWriter {
  return {
    write(frame) {
      if (stream.destroyed || stream.write(frame)) return Promise.resolve();
      return new Promise((resolve) => {
        const done = () => {
          stream.off("drain", done);
          stream.off("close", done);
          resolve();
        };
        stream.on("drain", done);
        stream.on("close", done);
      });
    },
  };
}

/** A compressed message as its client wrote it. */
export async function expand(
  frame: Frame,
  decompress: Decompress | undefined,
  maxBytes: number,
  held: HeldBytes,
): Promise<Buffer> {
  if (decompress === undefined) throw invalidMessage("it is compressed, and grpc-encoding doesn't say how");
  return decompress(frame.message, maxBytes, held);
}
