import { NaruError } from "../../lib/errors.ts";
import type { HeldBytes } from "../../lib/http/body-budget.ts";
import { codingOf, inflateWithin } from "../../lib/http/inflate.ts";
import { requestTooLarge } from "./request-body.ts";

/**
 * A body as its content-encoding says. `maxBytes` bounds what comes out, and `held` counts it: a kilobyte may inflate to a gigabyte.
 *
 * @throws NaruError RequestTooLarge (413), UnsupportedEncoding (415), InvalidEncoding (400), ServerFull (503).
 */
export async function inflate(
  body: Buffer,
  encoding: string | undefined,
  maxBytes: number,
  held: HeldBytes,
): Promise<Buffer> {
  const coding = codingOf(encoding);
  if (coding === "identity") return body;
  if (coding === undefined) {
    throw new NaruError({
      code: "UnsupportedEncoding",
      message: "the body's content-encoding is not known",
      remedy: "send gzip, deflate or no content-encoding",
      status: 415,
    });
  }
  return inflateWithin(coding, body, {
    maxBytes,
    held,
    tooLarge: () => requestTooLarge(maxBytes),
    broken: (cause) =>
      new NaruError({
        code: "InvalidEncoding",
        message: `the body is not ${coding}`,
        remedy: "send the body as its content-encoding says",
        status: 400,
        cause,
      }),
  });
}
