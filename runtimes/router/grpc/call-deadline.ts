import type { IncomingHttpHeaders } from "node:http2";
import { parseGrpcTimeout } from "../../../lib/http/deadline.ts";

/** Node's timers take no more; a longer deadline is looked at again then. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** When a call must have ended: by its client's word or the server's own limit, whichever is sooner, or never. */
export class CallDeadline {
  readonly #at: number;
  readonly #onLate: () => void;
  readonly #legible: boolean;
  #timer: NodeJS.Timeout | undefined;

  /** `began` on the clock of `performance.now()`. A `grpc-timeout` that is none counts for nothing here: the backend says so. */
  constructor(
    headers: IncomingHttpHeaders,
    limitMilliseconds: number | undefined,
    began: number,
    onLate: () => void,
  ) {
    const asked = headers["grpc-timeout"];
    const own = typeof asked === "string" ? parseGrpcTimeout(asked) : undefined;
    this.#legible = typeof asked !== "string" || own !== undefined;
    this.#at =
      began + Math.min(own ?? Number.POSITIVE_INFINITY, limitMilliseconds ?? Number.POSITIVE_INFINITY);
    this.#onLate = onLate;
    if (Number.isFinite(this.#at)) this.#wait();
  }

  /** Milliseconds for the backend; undefined where there is no deadline, or where it has to see the client's own. */
  get remaining(): number | undefined {
    return this.#legible && Number.isFinite(this.#at) ? this.#at - performance.now() : undefined;
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  #wait(): void {
    const left = this.#at - performance.now();
    this.#timer = setTimeout(
      () => {
        if (performance.now() < this.#at) this.#wait();
        else this.#onLate();
      },
      Math.min(left, MAX_TIMER_MS),
    );
  }
}
