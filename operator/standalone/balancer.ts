import net from "node:net";

export interface Endpoint {
  readonly host: string;
  readonly port: number;
}

interface Connection {
  readonly client: net.Socket;
  readonly server: net.Socket;
  lastByte: number;
  /** Whether the last bytes were the server's: nothing that was asked is still open, as far as can be seen. */
  answered: boolean;
}

/**
 * A Service's port on 127.0.0.1, as kube-proxy would make it: a new connection goes to one of the ready
 * endpoints, and stays there whatever becomes of the list. Where none is ready it is reset.
 */
export class TcpBalancer {
  readonly #server = net.createServer({ allowHalfOpen: true, noDelay: true }, (client) =>
    this.#accept(client),
  );
  readonly #connections = new Set<Connection>();
  #endpoints: readonly Endpoint[] = [];
  #next = 0;

  /** @throws EADDRINUSE */
  listen(port: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen({ port, host: "127.0.0.1" }, resolve);
    });
  }

  /** No endpoint takes connections now. */
  get empty(): boolean {
    return this.#endpoints.length === 0;
  }

  /** Takes effect for the next connection; those that exist are left alone. */
  setEndpoints(endpoints: readonly Endpoint[]): void {
    this.#endpoints = endpoints;
  }

  /** Ends connections on which nothing was said for so long, the server having had the last word. */
  closeQuiet(milliseconds: number): void {
    const before = performance.now() - milliseconds;
    for (const connection of this.#connections) {
      if (connection.answered && connection.lastByte < before) connection.client.destroy();
    }
  }

  /** Takes no more connections; those that exist are left alone. Resolves when the last of them has ended. */
  retire(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.close(() => resolve());
    });
  }

  /** Takes no more connections, and ends those that are left. */
  close(): void {
    this.#server.close();
    for (const { client, server } of this.#connections) {
      client.destroy();
      server.destroy();
    }
  }

  #accept(client: net.Socket): void {
    client.on("error", () => client.destroy());
    const start = this.#next;
    this.#next += 1;
    const order = this.#endpoints.map(
      (_, index) => this.#endpoints[(start + index) % this.#endpoints.length],
    );
    this.#connect(client, order);
  }

  /** No byte has been sent yet, so an endpoint that does not answer can be passed over for the next. */
  #connect(client: net.Socket, endpoints: readonly (Endpoint | undefined)[]): void {
    const [endpoint, ...rest] = endpoints;
    if (endpoint === undefined) {
      client.resetAndDestroy();
      return;
    }
    const server = net.connect({ ...endpoint, allowHalfOpen: true, noDelay: true });
    const failed = () => this.#connect(client, rest);
    server.once("error", failed);
    server.once("connect", () => {
      server.off("error", failed);
      if (client.destroyed) {
        server.destroy();
        return;
      }
      this.#join(client, server);
    });
  }

  #join(client: net.Socket, server: net.Socket): void {
    const connection: Connection = { client, server, lastByte: performance.now(), answered: true };
    this.#connections.add(connection);
    const seen = (answered: boolean) => () => {
      connection.lastByte = performance.now();
      connection.answered = answered;
    };
    client.on("data", seen(false));
    server.on("data", seen(true));
    client.pipe(server);
    server.pipe(client);
    // A reset on one side is a reset on the other; a clean end has already passed through as one.
    server.on("error", () => client.resetAndDestroy());
    client.on("error", () => server.resetAndDestroy());
    client.once("close", () => {
      server.destroy();
      this.#connections.delete(connection);
    });
    server.once("close", () => client.end());
  }
}
