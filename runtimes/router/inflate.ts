import { promisify } from "node:util";
import { gunzip, inflate as inflateZlib } from "node:zlib";
import { NaruError } from "../../lib/errors.ts";
import { requestTooLarge } from "./request-body.ts";

const decoders = { gzip: promisify(gunzip), "x-gzip": promisify(gunzip), deflate: promisify(inflateZlib) };

/**
 * A body as its content-encoding says. `maxBytes` bounds what comes out: a kilobyte may inflate to a gigabyte.
 *
 * @throws NaruError RequestTooLarge (413), UnsupportedEncoding (415), InvalidEncoding (400).
 */
export async function inflate(body: Buffer, encoding: string | undefined, maxBytes: number): Promise<Buffer> {
  if (encoding === undefined || encoding === "identity") return body;
  if (!Object.hasOwn(decoders, encoding)) {
    throw new NaruError({
      code: "UnsupportedEncoding",
      message: "the body's content-encoding is not known",
      remedy: "send gzip, deflate or no content-encoding",
      status: 415,
    });
  }
  try {
    return await decoders[encoding as keyof typeof decoders](body, { maxOutputLength: maxBytes });
  } catch (error) {
    if (error instanceof RangeError) throw requestTooLarge(maxBytes);
    throw new NaruError({
      code: "InvalidEncoding",
      message: `the body is not ${encoding}`,
      remedy: "send the body as its content-encoding says",
      status: 400,
      cause: error,
    });
  }
}
