import type { HeldBytes } from "../../../lib/http/body-budget.ts";
import { GatheredBytes } from "../../../lib/http/gathered-bytes.ts";
import { REFUSED_MS } from "../forward-errors.ts";

/** What is kept to send a call again; a call that sent more is not repeated. */
const KEPT_BYTES = 256 * 1024;
/** A call that was refused as never begun may meet a second backend that is just going, hardly a third. */
const MAX_REPEATS = 2;

export interface FailedCall {
  /** The session did not connect, or GOAWAY or REFUSED_STREAM said so. */
  readonly neverBegun: boolean;
  readonly connected: boolean;
  /** Calls wait until a backend is ready instead of failing. */
  readonly holds: boolean;
  /** It may run twice. */
  readonly repeatable: boolean;
  /** Since it came. */
  readonly milliseconds: number;
}

/**
 * What a call's client has sent, as long as it can be sent again: before any answer came, up to KEPT_BYTES, and while
 * the process may hold it.
 */
export class KeptCall {
  readonly #held: HeldBytes;
  #kept: GatheredBytes | undefined = new GatheredBytes();
  #repeats = 0;
  #broken = false;

  constructor(held: HeldBytes) {
    this.#held = held;
  }

  get chunks(): readonly Buffer[] {
    return this.#kept?.pieces ?? [];
  }

  /**
   * Keeps a chunk, or, where it is too much, forgets the call: then it is sent once. What was not sent at all yet can't be
   * forgotten: then the answer is `wait` (the client should send no more now), or `full` where nothing more may be held.
   */
  keep(chunk: Buffer, sent: boolean): "kept" | "wait" | "full" {
    if (this.#kept === undefined) return "kept";
    const much = this.#kept.length + chunk.length > KEPT_BYTES;
    if (sent && much) this.forget();
    else if (this.#held.tryGrow(chunk.length)) {
      this.#kept.push(chunk);
      if (much) return "wait";
    } else if (sent) this.forget();
    else return "full";
    return "kept";
  }

  forget(): void {
    this.#kept = undefined;
    this.#held.release();
  }

  /** What becomes of a call that failed before any answer. */
  afterFailure(failed: FailedCall): "now" | "pause" | "hold" | "fail" {
    if (this.#kept === undefined) return "fail";
    if (failed.neverBegun && !failed.connected) {
      if (failed.holds) return "hold";
      if (failed.milliseconds < REFUSED_MS) return "pause";
    }
    if (failed.neverBegun) {
      if (this.#repeats >= MAX_REPEATS) return "fail";
      this.#repeats += 1;
      return "now";
    }
    if (!failed.repeatable || this.#broken) return "fail";
    this.#broken = true;
    return "now";
  }
}
