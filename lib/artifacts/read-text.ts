import type { Readable } from "node:stream";

const LIMIT_BYTES = 64 * 1024;

/**
 * A small answer, such as an error document: its first 64 KiB, and no more of it than came in the time. It has a time of
 * its own since a time-out between two bytes is none for who sends a byte now and then. An answer that broke off is
 * what came of it.
 */
export async function readText(body: Readable, milliseconds: number): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, milliseconds);
  body.on("data", (chunk: Buffer) => {
    chunks.push(chunk);
    length += chunk.length;
    if (length >= LIMIT_BYTES) resolve();
  });
  for (const end of ["end", "close", "error"]) body.once(end, () => resolve());
  await promise;
  clearTimeout(timer);
  body.destroy();
  return Buffer.concat(chunks).subarray(0, LIMIT_BYTES).toString("utf8");
}
