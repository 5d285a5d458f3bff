import type { ServerHttp2Stream } from "node:http2";
import { NaruError } from "../errors.ts";

/** Unary requests that are not wholly there, oldest first; one timer watches over all of them. */
export class IncompleteRequests {
  readonly #since = new Map<ServerHttp2Stream, { at: number; fail: (error: unknown) => void }>();
  readonly #limit: number;
  #timer: NodeJS.Timeout | undefined;

  constructor(limitMilliseconds: number) {
    this.#limit = limitMilliseconds;
  }

  add(stream: ServerHttp2Stream, fail: (error: unknown) => void): void {
    this.#since.set(stream, { at: performance.now(), fail });
    this.#timer ??= setInterval(() => this.#sweep(), Math.max(50, this.#limit / 4)).unref();
  }

  delete(stream: ServerHttp2Stream): void {
    this.#since.delete(stream);
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #sweep(): void {
    if (this.#since.size === 0) {
      this.stop();
      return;
    }
    const late = performance.now() - this.#limit;
    for (const { at, fail } of this.#since.values()) {
      if (at > late) return;
      fail(requestTimeout());
    }
  }
}

function requestTimeout(): NaruError {
  return new NaruError({
    code: "RequestTimeout",
    status: 408,
    message: "the request did not wholly arrive in time",
    remedy: "send the whole request at once, or raise bodyTimeoutSeconds",
  });
}
