import { once } from "node:events";
import { connect, type Socket } from "node:net";

/** One TCP connection on which a test writes HTTP/1.1 byte by byte and sees exactly what comes back. */
export class RawConnection {
  readonly socket: Socket;
  received = "";
  closed = false;
  #waiters: (() => void)[] = [];

  constructor(socket: Socket) {
    this.socket = socket;
    socket.setEncoding("latin1");
    socket.on("data", (chunk: string) => {
      this.received += chunk;
      this.#wake();
    });
    // A reset is one way for a connection to end; `closed` tells of it.
    socket.on("error", () => this.#wake());
    socket.on("close", () => {
      this.closed = true;
      this.#wake();
    });
  }

  static async open(port: number): Promise<RawConnection> {
    const socket = connect({ port, host: "127.0.0.1" });
    await once(socket, "connect");
    return new RawConnection(socket);
  }

  /** Sends a request and gives its whole answer, head and body (which must have a Content-Length). */
  async request(path: string, head = ""): Promise<{ head: string; body: string }> {
    this.send(`GET ${path} HTTP/1.1\r\nhost: test\r\n${head}\r\n`);
    return this.answer();
  }

  send(text: string): void {
    this.socket.write(text, "latin1");
  }

  async answer(): Promise<{ head: string; body: string }> {
    await this.until(() => this.#parse() !== undefined || this.closed);
    const parsed = this.#parse();
    if (parsed === undefined) throw new Error(`connection closed without an answer: ${this.received}`);
    this.received = this.received.slice(parsed.length);
    return { head: parsed.head.toLowerCase(), body: parsed.body };
  }

  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((resolve) => this.#waiters.push(resolve));
  }

  untilClosed(): Promise<void> {
    return this.until(() => this.closed);
  }

  #wake(): void {
    for (const wake of this.#waiters.splice(0)) wake();
  }

  #parse(): { head: string; body: string; length: number } | undefined {
    const end = this.received.indexOf("\r\n\r\n");
    if (end < 0) return undefined;
    const head = this.received.slice(0, end);
    const length = Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0);
    if (this.received.length < end + 4 + length) return undefined;
    return { head, body: this.received.slice(end + 4, end + 4 + length), length: end + 4 + length };
  }
}
