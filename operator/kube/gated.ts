import type { Dispatcher } from "undici";

/** What a gate threw. The request was not sent. */
export class GateClosed extends Error {
  constructor(cause: unknown) {
    super("the gate is closed", { cause });
    this.name = "GateClosed";
  }
}

/**
 * Asks `gate` in the moment in which a request is written to its connection. It may have waited for one for as long as
 * the process was frozen: what was asked when the request was made is long out of date then.
 */
export function gatedBy(gate: () => void): Dispatcher.DispatcherComposeInterceptor {
  return (dispatch) => (options, handler) => dispatch(options, new GatedHandler(gate, handler));
}

class GatedHandler implements Dispatcher.DispatchHandler {
  readonly #gate: () => void;
  readonly #handler: Dispatcher.DispatchHandler;

  constructor(gate: () => void, handler: Dispatcher.DispatchHandler) {
    this.#gate = gate;
    this.#handler = handler;
  }

  onRequestStart(controller: Dispatcher.DispatchController, context: unknown): void {
    this.#handler.onRequestStart?.(controller, context);
    try {
      this.#gate();
    } catch (thrown) {
      // undici fails the request with what is thrown here, writes nothing, and keeps the connection.
      throw new GateClosed(thrown);
    }
  }

  onResponseStart(...args: Parameters<NonNullable<Dispatcher.DispatchHandler["onResponseStart"]>>): void {
    this.#handler.onResponseStart?.(...args);
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#handler.onResponseData?.(controller, chunk);
  }

  onResponseEnd(...args: Parameters<NonNullable<Dispatcher.DispatchHandler["onResponseEnd"]>>): void {
    this.#handler.onResponseEnd?.(...args);
  }

  onResponseError(controller: Dispatcher.DispatchController, error: Error): void {
    this.#handler.onResponseError?.(controller, error);
  }
}
