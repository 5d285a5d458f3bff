import { connect, type Socket } from "node:net";
import { type CountedLoad, countedLoad, type Done, type LoadClient, type LoadTimes } from "./counted-load.ts";

/**
 * Load on an HTTP/1.1 server: `clients` connections, each with one request in flight. The request is written as
 * one buffer and only status and length of the answer are read, since the load shares the machine with the
 * server that it measures.
 */
export interface HttpLoad extends LoadTimes {
  readonly port: number;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

export function loadHttp(load: HttpLoad): Promise<CountedLoad> {
  return countedLoad(load, (done) => Client.connect(load, done));
}

class Client implements LoadClient {
  readonly #load: HttpLoad;
  readonly #request: Buffer;
  readonly #done: Done;
  #socket: Socket;
  #began = 0;
  #ok = false;
  /** Bytes of the body that are still to come; undefined while the head is read. */
  #missing: number | undefined;
  #rest: Buffer = Buffer.alloc(0);
  #stopped = false;

  private constructor(socket: Socket, load: HttpLoad, done: Done) {
    this.#load = load;
    this.#done = done;
    this.#socket = socket;
    const head = Object.entries({
      ...load.headers,
      host: `127.0.0.1:${load.port}`,
      "content-length": load.body.length,
    })
      .map(([name, value]) => `${name}: ${value}\r\n`)
      .join("");
    this.#request = Buffer.concat([Buffer.from(`POST ${load.path} HTTP/1.1\r\n${head}\r\n`), load.body]);
    this.#listen(socket);
  }

  static async connect(load: HttpLoad, done: Done): Promise<Client> {
    return new Client(await dial(load.port), load, done);
  }

  call(): void {
    this.#began = performance.now();
    this.#socket.write(this.#request);
  }

  stop(): void {
    this.#stopped = true;
    this.#socket.destroy();
  }

  #listen(socket: Socket): void {
    socket.on("data", (chunk: Buffer) => this.#read(chunk));
    socket.on("error", () => socket.destroy());
    socket.on("close", () => this.#reconnect());
  }

  /** A server may end a connection (its age, say): the client goes on with another, as a real one would. */
  #reconnect(): void {
    if (this.#stopped) return;
    if (this.#missing !== undefined || this.#rest.length > 0)
      this.#done(performance.now() - this.#began, false);
    this.#missing = undefined;
    this.#rest = Buffer.alloc(0);
    dial(this.#load.port).then(
      (socket) => {
        this.#socket = socket;
        this.#listen(socket);
        this.call();
      },
      () => this.#done(0, false),
    );
  }

  #read(chunk: Buffer): void {
    let data = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    this.#rest = Buffer.alloc(0);
    if (this.#missing === undefined) {
      const end = data.indexOf("\r\n\r\n");
      if (end < 0) {
        this.#rest = data;
        return;
      }
      const head = data.toString("latin1", 0, end).toLowerCase();
      this.#ok = head.startsWith("http/1.1 200");
      this.#missing = Number(/\r\ncontent-length: *(\d+)/.exec(head)?.[1] ?? Number.NaN);
      if (Number.isNaN(this.#missing)) throw new Error(`an answer without content-length: ${head}`);
      data = data.subarray(end + 4);
    }
    this.#missing -= data.length;
    if (this.#missing > 0) return;
    this.#missing = undefined;
    this.#done(performance.now() - this.#began, this.#ok);
    this.call();
  }
}

function dial(port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: "127.0.0.1", noDelay: true });
    socket.once("error", reject);
    socket.once("connect", () => {
      socket.removeListener("error", reject);
      resolve(socket);
    });
  });
}
