import { promisify } from "node:util";
import { gunzip, inflate } from "node:zlib";
import { NaruError } from "../errors.ts";
import { messageTooLarge } from "./frame.ts";
import { invalidMessage } from "./protobuf.ts";

/** What `grpc-accept-encoding` says. Answers are not compressed, as Triton's are not unless it is told to. */
export const acceptedEncodings = "identity,gzip,deflate";

/** Turns a compressed message into its bytes; rejects with NaruError 413 beyond `maxBytes`, 400 for garbage. */
export type Decompress = (message: Buffer, maxBytes: number) => Promise<Buffer>;

const gunzipped = promisify(gunzip);
/** gRPC's `deflate` is the zlib format of RFC 1950, as HTTP's is. */
const inflated = promisify(inflate);

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
      return bounded(gunzipped);
    case "deflate":
      return bounded(inflated);
    default:
      throw new NaruError({
        code: "UnknownGrpcEncoding",
        status: 501,
        message: "the message encoding is not supported",
        remedy: `use one of ${acceptedEncodings}`,
      });
  }
}

function bounded(
  decompress: (message: Buffer, options: { maxOutputLength: number }) => Promise<Buffer>,
): Decompress {
  return async (message, maxBytes) => {
    try {
      return await decompress(message, { maxOutputLength: maxBytes });
    } catch (error) {
      if (error instanceof RangeError) throw messageTooLarge(maxBytes + 1, maxBytes);
      throw invalidMessage("its compression is broken");
    }
  };
}
