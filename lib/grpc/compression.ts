import { NaruError } from "../errors.ts";
import type { HeldBytes } from "../http/body-budget.ts";
import { inflateWithin } from "../http/inflate.ts";
import { messageTooLarge } from "./frame.ts";
import { invalidMessage } from "./protobuf.ts";

/** What `grpc-accept-encoding` says. Answers are not compressed, as Triton's are not unless it is told to. */
export const acceptedEncodings = "identity,gzip,deflate";

/**
 * Turns a compressed message into its bytes, which `held` counts; rejects with NaruError 413 beyond `maxBytes`, 400 for
 * garbage, 503 where too much is held.
 */
export type Decompress = (message: Buffer, maxBytes: number, held: HeldBytes) => Promise<Buffer>;

/**
 * How messages of a stream with this `grpc-encoding` are decompressed; undefined for `identity`.
 * Throws NaruError 501 for an encoding that is not known here, which the protocol wants as UNIMPLEMENTED.
 */
export function decompressorFor(encoding: string | undefined): Decompress | undefined {
  switch (encoding) {
    case undefined:
    case "identity":
      return undefined;
    case "gzip":
      return bounded("gzip");
    case "deflate":
      return bounded("deflate");
    default:
      throw new NaruError({
        code: "UnknownGrpcEncoding",
        status: 501,
        message: "the message encoding is not supported",
        remedy: `use one of ${acceptedEncodings}`,
      });
  }
}

function bounded(encoding: "gzip" | "deflate"): Decompress {
  return (message, maxBytes, held) =>
    inflateWithin(encoding, message, {
      maxBytes,
      held,
      tooLarge: () => messageTooLarge(maxBytes + 1, maxBytes),
      broken: () => invalidMessage("its compression is broken"),
    });
}
