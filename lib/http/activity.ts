/**
 * Counts of one server, and a way to wait for them. The only thing that the drain of HTTP/1.1 and that of
 * HTTP/2 have in common is what they wait for.
 */
export class Activity {
  connections = 0;
  inFlight = 0;
  served = 0;
  #quietSince: number;
  #stopped = false;
  #wake: (() => void) | undefined;
  readonly #now: () => number;

  constructor(now: () => number) {
    this.#now = now;
    this.#quietSince = now();
  }

  opened(): void {
    this.connections++;
    this.#wake?.();
  }

  closed(): void {
    this.connections--;
    this.#quietSince = this.#now();
    this.#wake?.();
  }

  began(): void {
    this.inFlight++;
    this.served++;
  }

  ended(): void {
    this.inFlight--;
    this.#wake?.();
  }

  /** Nobody needs to wait any longer. */
  stop(): void {
    this.#stopped = true;
    this.#wake?.();
  }

  /** Resolves with true once no connection was open for `quietMilliseconds`, with false at `end` or when stopped. */
  async quiet(quietMilliseconds: number, end: number): Promise<boolean> {
    const began = this.#now();
    for (;;) {
      const now = this.#now();
      let next = end;
      if (this.connections === 0) {
        const quietAt = Math.max(this.#quietSince, began) + quietMilliseconds;
        if (now >= quietAt) return true;
        next = Math.min(end, quietAt);
      }
      if (now >= end || this.#stopped) return false;
      await this.#changeOr(next - now);
    }
  }

  /** Resolves with true once no request is in flight, with false at `end` or when stopped. */
  async idle(end: number): Promise<boolean> {
    for (;;) {
      if (this.inFlight === 0) return true;
      const now = this.#now();
      if (now >= end || this.#stopped) return false;
      await this.#changeOr(end - now);
    }
  }

  #changeOr(milliseconds: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, Math.ceil(milliseconds));
    this.#wake = resolve;
    return promise.finally(() => {
      clearTimeout(timer);
      this.#wake = undefined;
    });
  }
}
