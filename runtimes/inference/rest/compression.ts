import { promisify } from "node:util";
import { deflate, gzip } from "node:zlib";
import { NaruError } from "../../../lib/errors.ts";
import type { HeldBytes } from "../../../lib/http/body-budget.ts";
import { codingOf, inflateWithin } from "../../../lib/http/inflate.ts";
import { invalid, quote } from "../../../lib/v2/invalid.ts";
import { bodyTooLarge } from "./body.ts";

const compressors = { gzip: promisify(gzip), deflate: promisify(deflate) };

export type Encoding = keyof typeof compressors;

/** Below this many bytes, an answer is sent as it is. */
const minCompressed = 1024;

/** The body as it was before `encoding` (Content-Encoding), of `maxBytes` at most: a small body may inflate to any size. */
export async function decompress(
  body: Buffer,
  encoding: string,
  maxBytes: number,
  held: HeldBytes,
): Promise<Buffer> {
  const name = codingOf(encoding);
  if (name === "identity") return body;
  if (name === undefined) {
    throw invalid(
      "UnsupportedEncoding",
      `the Content-Encoding is ${quote(encoding)}`,
      "send gzip, deflate, or the body as it is",
      415,
    );
  }
  const plain = await inflateWithin(name, body, {
    maxBytes,
    held,
    tooLarge: () => bodyTooLarge(maxBytes),
    broken: (cause) =>
      new NaruError({
        code: "InvalidEncoding",
        message: `the body is not ${name}`,
        remedy: "Let Content-Encoding name what the body is.",
        status: 400,
        cause,
      }),
  });
  held.shrink(body.length);
  return plain;
}

/** What an answer of `length` bytes is compressed with, if the client takes it (Accept-Encoding). */
export function encodingFor(accepted: string | undefined, length: number): Encoding | undefined {
  if (accepted === undefined || length < minCompressed) return undefined;
  let best: Encoding | undefined;
  let bestWeight = 0;
  for (const part of accepted.toLowerCase().split(",", 16)) {
    const [name, weight] = part.split(";", 2);
    const encoding = name?.trim();
    if (encoding !== "gzip" && encoding !== "deflate") continue;
    const match = /^\s*q\s*=\s*([\d.]+)\s*$/.exec(weight ?? "q=1");
    const value = match === null ? 0 : Number(match[1]);
    if (value > bestWeight) {
      best = encoding;
      bestWeight = value;
    }
  }
  return best;
}

/** Level 1: numbers hardly shrink more at a higher one, and it takes several times as long. */
export function compress(body: Buffer, encoding: Encoding): Promise<Buffer> {
  return compressors[encoding](body, { level: 1 });
}
