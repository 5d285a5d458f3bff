import { once } from "node:events";
import { createServer, type IncomingMessage, request, type Server } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";

/** A forward proxy as companies have them: CONNECT tunnels for https, absolute URIs for http. */
export class ConnectProxy {
  /** `HOST:PORT` of each tunnel, and the URI of each forwarded request. */
  readonly asked: string[] = [];
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  /** Names that only the proxy knows. */
  readonly names = new Map<string, string>();

  constructor() {
    this.#server = createServer((incoming, outgoing) => {
      this.asked.push(incoming.url ?? "");
      const upstream = request(incoming.url ?? "", { headers: incoming.headers }, (answer) => {
        outgoing.writeHead(answer.statusCode ?? 500, answer.headers);
        answer.pipe(outgoing);
      });
      upstream.on("error", () => outgoing.writeHead(502).end());
      upstream.end();
    });
    this.#server.on("connection", (socket) => {
      this.#sockets.add(socket);
      socket.on("close", () => this.#sockets.delete(socket));
    });
    this.#server.on("connect", (incoming: IncomingMessage, socket: Socket) => {
      this.asked.push(incoming.url ?? "");
      const [host = "", port = "443"] = (incoming.url ?? "").split(":");
      const upstream = connect(Number(port), this.names.get(host) ?? host, () => {
        socket.write("HTTP/1.1 200 Connection Established\r\n\r\n");
        socket.pipe(upstream).pipe(socket);
      });
      upstream.on("error", () => socket.destroy());
      socket.on("error", () => upstream.destroy());
    });
  }

  async listen(): Promise<string> {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }
}
