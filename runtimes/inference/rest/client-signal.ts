import type { Socket } from "node:net";
import type { CancelSignal } from "../model.ts";

/** Aborted once the client's connection is gone. Costs nothing until somebody listens. */
export class ClientSignal implements CancelSignal {
  readonly #socket: Socket;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  get aborted(): boolean {
    return this.#socket.destroyed;
  }

  addEventListener(_type: "abort", listener: () => void): void {
    this.#socket.once("close", listener);
  }

  removeEventListener(_type: "abort", listener: () => void): void {
    this.#socket.removeListener("close", listener);
  }
}
