import { connect, type Socket } from "node:net";
import { frameHeaderBytes } from "../../lib/grpc/frame.ts";
import { type CountedLoad, countedLoad, type Done, type LoadClient, type LoadTimes } from "./counted-load.ts";

/**
 * Load on a gRPC server: `clients` connections, each with one call in flight. HTTP/2 frames are written and
 * read here without a library, since a full gRPC client in Node costs more CPU a call than the server that it
 * would measure. A call counts when it brought a message and its stream was ended by trailers.
 */
export interface GrpcLoad extends LoadTimes {
  readonly port: number;
  /** `/package.Service/Method` */
  readonly path: string;
  readonly message: Buffer;
}

const frameType = { data: 0, headers: 1, settings: 4, ping: 6, goaway: 7, windowUpdate: 8 } as const;
const endStream = 0x1;
const ack = 0x1;
const endHeaders = 0x4;

export function loadGrpc(load: GrpcLoad): Promise<CountedLoad> {
  return countedLoad(load, (done) => Client.connect(load, done));
}

class Client implements LoadClient {
  readonly #socket: Socket;
  readonly #headers: Buffer;
  readonly #body: Buffer;
  readonly #done: Done;
  #streamId = 1;
  #began = 0;
  #answered = false;
  #window = 65_535;
  #received = 0;
  #waiting = false;
  #rest: Buffer = Buffer.alloc(0);

  private constructor(socket: Socket, load: GrpcLoad, done: Done) {
    this.#socket = socket;
    this.#headers = headerBlock(load.path, `127.0.0.1:${load.port}`);
    this.#body = Buffer.concat([Buffer.alloc(frameHeaderBytes), load.message]);
    this.#body.writeUInt32BE(load.message.length, 1);
    this.#done = done;
    socket.on("data", (chunk: Buffer) => this.#read(chunk));
  }

  static connect(load: GrpcLoad, done: Done): Promise<Client> {
    return new Promise((resolve, reject) => {
      const socket = connect({ port: load.port, host: "127.0.0.1", noDelay: true });
      socket.once("error", reject);
      socket.once("connect", () => {
        socket.write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        // INITIAL_WINDOW_SIZE (4) of 16 MB, and as much for the connection.
        const settings = Buffer.alloc(6);
        settings.writeUInt16BE(4, 0);
        settings.writeUInt32BE(16 * 1024 * 1024, 2);
        socket.write(frame(frameType.settings, 0, 0, settings));
        socket.write(windowUpdate(16 * 1024 * 1024));
        resolve(new Client(socket, load, done));
      });
    });
  }

  stop(): void {
    this.#socket.removeAllListeners("error");
    this.#socket.on("error", () => this.#socket.destroy());
    this.#socket.destroy();
  }

  call(): void {
    if (this.#window < this.#body.length) {
      this.#waiting = true;
      return;
    }
    this.#window -= this.#body.length;
    this.#answered = false;
    this.#began = performance.now();
    const id = this.#streamId;
    const parts = [frame(frameType.headers, endHeaders, id, this.#headers)];
    for (let at = 0; at < this.#body.length; at += 16_384) {
      const piece = this.#body.subarray(at, at + 16_384);
      parts.push(frame(frameType.data, at + 16_384 >= this.#body.length ? endStream : 0, id, piece));
    }
    this.#socket.write(Buffer.concat(parts));
  }

  #read(chunk: Buffer): void {
    let bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    while (bytes.length >= 9) {
      const length = bytes.readUIntBE(0, 3);
      if (bytes.length < 9 + length) break;
      this.#frame(bytes[3] ?? 0, bytes[4] ?? 0, bytes.subarray(9, 9 + length), bytes.readUInt32BE(5));
      bytes = bytes.subarray(9 + length);
    }
    this.#rest = bytes;
  }

  #frame(type: number, flags: number, payload: Buffer, stream: number): void {
    switch (type) {
      case frameType.data:
        this.#answered ||= payload.length > frameHeaderBytes;
        this.#received += payload.length;
        if (this.#received > 4 * 1024 * 1024) {
          this.#socket.write(windowUpdate(this.#received));
          this.#received = 0;
        }
        break;
      case frameType.settings:
        if ((flags & ack) === 0) this.#socket.write(frame(frameType.settings, ack, 0, Buffer.alloc(0)));
        return;
      case frameType.ping:
        if ((flags & ack) === 0) this.#socket.write(frame(frameType.ping, ack, 0, payload));
        return;
      case frameType.windowUpdate:
        if (stream === 0) this.#window += payload.readUInt32BE(0);
        if (this.#waiting && this.#window >= this.#body.length) {
          this.#waiting = false;
          this.call();
        }
        return;
      case frameType.goaway:
        throw new Error("the server sent GOAWAY under load");
    }
    if ((flags & endStream) !== 0 && stream === this.#streamId) {
      this.#done(performance.now() - this.#began, this.#answered && type === frameType.headers);
      this.#streamId += 2;
      this.call();
    }
  }
}

function frame(type: number, flags: number, stream: number, payload: Buffer): Buffer {
  const bytes = Buffer.allocUnsafe(9 + payload.length);
  bytes.writeUIntBE(payload.length, 0, 3);
  bytes[3] = type;
  bytes[4] = flags;
  bytes.writeUInt32BE(stream, 5);
  payload.copy(bytes, 9);
  return bytes;
}

function windowUpdate(increment: number): Buffer {
  const payload = Buffer.alloc(4);
  payload.writeUInt32BE(increment, 0);
  return frame(frameType.windowUpdate, 0, 0, payload);
}

/** HPACK without a dynamic table: indexed where the static table has the whole field, else a literal (RFC 7541). */
function headerBlock(path: string, authority: string): Buffer {
  const literal = (text: string) => Buffer.concat([Buffer.from([text.length]), Buffer.from(text)]);
  return Buffer.concat([
    Buffer.from([0x83, 0x86]),
    Buffer.from([0x04]),
    literal(path),
    Buffer.from([0x01]),
    literal(authority),
    Buffer.from([0x0f, 0x10]),
    literal("application/grpc"),
    Buffer.from([0x00]),
    literal("te"),
    literal("trailers"),
  ]);
}
