import type { IncomingHttpHeaders } from "node:http";

/** Listens in on one exchange that is to be mirrored. Keeps references to chunks, copies nothing. */
export interface MirrorTap {
  request(chunk: Buffer): void;
  answer(status: number, headers: IncomingHttpHeaders): void;
  answerData(chunk: Buffer): void;
}
