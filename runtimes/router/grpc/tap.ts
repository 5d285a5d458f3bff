import type { IncomingHttpHeaders } from "node:http2";

/** Listens in on one unary call that is to be mirrored. Keeps references to chunks, copies nothing. */
export interface GrpcTap {
  request(chunk: Buffer): void;
  answering(headers: IncomingHttpHeaders): void;
  answer(chunk: Buffer): void;
}
