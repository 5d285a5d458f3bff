import type { IncomingMessage } from "node:http";
import { NaruError } from "../../../lib/errors.ts";
import { type HeldBytes, serverFull } from "../../../lib/http/body-budget.ts";
import { GatheredBytes } from "../../../lib/http/gathered-bytes.ts";
import { invalid } from "../../../lib/v2/invalid.ts";

/**
 * The whole body, of `maxBytes` at most, and counted by `held` as it comes. `align`: the offset of the body at which binary tensors begin; a body that
 * came in pieces is put together so that they lie at a multiple of eight and need no copy.
 *
 * Nothing is set aside for what a client only announces. What is left of a refused body is read and dropped, so that
 * the client meets its answer and not a reset; the server's request time-out bounds that.
 */
export function readBody(
  request: IncomingMessage,
  held: HeldBytes,
  maxBytes: number,
  align = 0,
): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const announced = Number(request.headers["content-length"] ?? 0);
    if (announced > maxBytes) {
      reject(bodyTooLarge(maxBytes));
      return;
    }
    let body: GatheredBytes | undefined = new GatheredBytes();
    request.on("data", (chunk: Buffer) => {
      if (body === undefined) return;
      const refusal =
        body.length + chunk.length > maxBytes
          ? bodyTooLarge(maxBytes)
          : held.tryGrow(chunk.length)
            ? undefined
            : serverFull();
      if (refusal !== undefined) {
        body = undefined;
        reject(refusal);
        return;
      }
      body.push(chunk);
    });
    request.on("end", () => {
      if (body !== undefined) resolve(join(body, align));
    });
    request.on("error", () => reject(cutOff()));
    request.on("close", () => {
      if (!request.complete) reject(cutOff());
    });
  });
}

function join({ pieces, length }: GatheredBytes, align: number): Buffer {
  const [first] = pieces;
  if (pieces.length === 1 && first !== undefined) return first;
  const padding = (8 - (align % 8)) % 8;
  const body = Buffer.from(new ArrayBuffer(length + padding), padding);
  let offset = 0;
  for (const piece of pieces) {
    body.set(piece, offset);
    offset += piece.length;
  }
  return body;
}

export function bodyTooLarge(maxBytes: number): NaruError {
  return invalid(
    "BodyTooLarge",
    `the body has more than ${maxBytes} bytes`,
    "send fewer rows in a request, or raise server.maxRequestBytes",
    413,
  );
}

export function cutOff(): NaruError {
  return new NaruError({
    code: "ClientClosed",
    message: "the client left before its request was complete",
    remedy: "Keep the connection open until the answer is there.",
    status: 499,
  });
}
