import { createHash } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

/** What the next request meets instead of a plain answer. */
export type Mishap =
  | { status: number; headers?: Record<string, string>; body?: string }
  /** The connection is cut after so many bytes of the body. */
  | { cutAfter: number }
  /** The body stops after so many bytes, and the connection stays open. */
  | { stallAfter: number }
  /** The whole file, whatever range was asked for. */
  | { ignoreRange: true };

/** Serves one file over HTTP as object stores do (Range, If-Range, ETag), and keeps what it was asked. */
export class FileServer {
  readonly server: Server;
  readonly asked: { path: string; headers: IncomingMessage["headers"]; answered: number }[] = [];
  readonly mishaps: Mishap[] = [];
  content: Buffer;
  etag: string | undefined = '"v1"';
  /** Bytes of bodies that were written, over all requests. */
  written = 0;
  /** Writes so many bytes of a body at a time, with a pause between them. */
  trickle: number | undefined;
  /** Leaves the size out of the answer. */
  chunked = false;

  constructor(content: Buffer, server: Server = createServer()) {
    this.content = content;
    this.server = server;
    server.on("request", (request, response) => this.#answer(request, response));
  }

  async listen(): Promise<number> {
    this.server.listen(0, "127.0.0.1");
    await once(this.server, "listening");
    return (this.server.address() as AddressInfo).port;
  }

  close(): void {
    this.server.close();
    this.server.closeAllConnections();
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const asked = { path: request.url ?? "", headers: request.headers, answered: 200 };
    this.asked.push(asked);
    const mishap = this.mishaps.shift();
    if (mishap !== undefined && "status" in mishap) {
      asked.answered = mishap.status;
      response.writeHead(mishap.status, mishap.headers).end(mishap.body);
      return;
    }
    const headers: Record<string, string | number> = this.etag === undefined ? {} : { etag: this.etag };
    const from = /^bytes=(\d+)-$/.exec(request.headers.range ?? "")?.[1];
    const condition = request.headers["if-range"];
    const ranged =
      from !== undefined &&
      (condition === undefined || condition === this.etag) &&
      !(mishap !== undefined && "ignoreRange" in mishap);
    const start = ranged ? Number(from) : 0;
    const size = this.content.length;
    if (ranged && start >= size) {
      asked.answered = 416;
      response.writeHead(416, { ...headers, "content-range": `bytes */${size}` }).end();
      return;
    }
    if (ranged) {
      asked.answered = 206;
      headers["content-range"] = `bytes ${start}-${size - 1}/${size}`;
    }
    if (!this.chunked) headers["content-length"] = size - start;
    response.writeHead(asked.answered, headers);
    const body = this.content.subarray(start);
    if (mishap !== undefined && "cutAfter" in mishap) {
      response.write(body.subarray(0, mishap.cutAfter), () => response.destroy());
    } else if (mishap !== undefined && "stallAfter" in mishap) {
      response.write(body.subarray(0, mishap.stallAfter));
    } else if (this.trickle !== undefined) {
      this.#trickle(response, body, this.trickle);
    } else {
      response.end(body);
    }
  }

  #trickle(response: ServerResponse, body: Buffer, step: number): void {
    if (response.destroyed) return;
    const part = body.subarray(0, step);
    this.written += part.length;
    if (part.length === body.length) {
      response.end(part);
      return;
    }
    response.write(part, () => setTimeout(() => this.#trickle(response, body.subarray(step), step), 2));
  }
}
