/** Node takes a longer time for none at all, and no connection is as old: such a deadline is left to the client. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/**
 * Streams that stay open between requests. GOAWAY doesn't end them, and a client doesn't either while it may have
 * more to ask: so a server that drains ends them itself, once what they asked for is answered.
 */
export class OpenStreams {
  readonly #ends = new Set<() => void>();
  #drained = false;

  /**
   * How a stream ended: its `work` was done (a failure of it is thrown), `drain` was called, or `milliseconds` had
   * passed. Work that goes on after that is cut by the stream's end, and its failure is no news.
   */
  async until(work: Promise<void>, milliseconds?: number): Promise<"done" | "drained" | "late"> {
    const { promise: ended, resolve } = Promise.withResolvers<"drained" | "late">();
    const drained = () => resolve("drained");
    const timer =
      milliseconds === undefined || milliseconds > MAX_TIMER_MS
        ? undefined
        : setTimeout(resolve, milliseconds, "late");
    this.#ends.add(drained);
    if (this.#drained) drained();
    try {
      return await Promise.race([work.then(() => "done" as const), ended]);
    } finally {
      clearTimeout(timer);
      this.#ends.delete(drained);
    }
  }

  /** Ends those that are open, and from now on those that come. */
  drain(): void {
    this.#drained = true;
    for (const end of this.#ends) end();
  }
}
