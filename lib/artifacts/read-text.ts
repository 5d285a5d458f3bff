import type { Readable } from "node:stream";

/** The first 64 KiB of a small answer, such as an error document; the rest is not read. */
export async function readText(body: Readable, limitBytes = 64 * 1024): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of body) {
    chunks.push(chunk);
    length += chunk.length;
    if (length >= limitBytes) break;
  }
  return Buffer.concat(chunks).subarray(0, limitBytes).toString("utf8");
}
