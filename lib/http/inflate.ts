import { createGunzip, createInflate } from "node:zlib";
import type { HeldBytes } from "./body-budget.ts";

/** HTTP's `deflate` is the zlib format of RFC 1950, as gRPC's is. */
const streams = { gzip: createGunzip, deflate: createInflate };

/** How a body is compressed, or that it is not. */
export type Coding = keyof typeof streams | "identity";

/** What a Content-Encoding names; undefined: not one of ours, or several. RFC 9110 §8.4.1.3: `x-gzip` is gzip. */
export function codingOf(contentEncoding: string | undefined): Coding | undefined {
  switch (contentEncoding?.trim().toLowerCase() ?? "") {
    case "":
    case "identity":
      return "identity";
    case "gzip":
    case "x-gzip":
      return "gzip";
    case "deflate":
      return "deflate";
    default:
      return undefined;
  }
}

export interface InflateBounds {
  readonly maxBytes: number;
  /** Counts what comes out while it comes: a kilobyte may inflate to a gigabyte, and many may at once. */
  readonly held: HeldBytes;
  readonly tooLarge: () => Error;
  readonly broken: (cause: unknown) => Error;
}

/** What `body` was before it was compressed. Rejects with what the bounds name, or ServerFull (503). */
export function inflateWithin(
  encoding: keyof typeof streams,
  body: Buffer,
  { maxBytes, held, tooLarge, broken }: InflateBounds,
): Promise<Buffer> {
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  const stream = streams[encoding]();
  const chunks: Buffer[] = [];
  let length = 0;
  let over = false;
  const fail = (error: unknown): void => {
    if (over) return;
    over = true;
    held.shrink(length);
    reject(error);
    stream.destroy();
  };
  stream.on("data", (chunk: Buffer) => {
    if (over) return;
    try {
      if (length + chunk.length > maxBytes) throw tooLarge();
      held.grow(chunk.length);
      length += chunk.length;
      chunks.push(chunk);
    } catch (error) {
      fail(error);
    }
  });
  stream.on("error", (error) => fail(broken(error)));
  stream.on("end", () => {
    if (over) return;
    over = true;
    resolve(Buffer.concat(chunks, length));
  });
  stream.end(body);
  return promise;
}
