import { NaruError } from "../../lib/errors.ts";

/** Whether a backend answers; must settle soon. */
export type Probe = () => Promise<boolean>;

/** How often a backend is asked whether it is ready while requests wait for it. */
const PROBE_INTERVAL_MS = 100;

interface Waiter {
  readonly release: () => void;
  readonly refuse: (error: NaruError) => void;
  readonly timer: NodeJS.Timeout;
}

/** Requests held over all gates of a router: one bound for the memory that they take. */
export interface HoldLimits {
  readonly maxRequests: number;
  readonly seconds: number;
}

/**
 * Where requests wait while their backend has no ready pod (scale from zero). The gate closes when a connection
 * is refused and opens when a probe succeeds; whoever comes meanwhile queues behind those that wait, so that they
 * are forwarded in the order in which they came.
 */
export class HoldGate {
  readonly #probe: Probe;
  readonly #onRefused: () => void;
  readonly #waiting = new Set<Waiter>();
  #probing = false;

  constructor(probe: Probe, onRefused: () => void = () => undefined) {
    this.#probe = probe;
    this.#onRefused = onRefused;
  }

  /** Requests wait here: a new one must queue behind them. */
  get closed(): boolean {
    return this.#waiting.size > 0;
  }

  get held(): number {
    return this.#waiting.size;
  }

  /**
   * Resolves when the backend answers. Rejects with BackendUnavailable (503, Retry-After) when too many wait
   * already, or none became ready in time; with the signal's reason when it aborts.
   */
  wait(limits: HoldLimits, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return Promise.reject(signal.reason);
    if (this.#waiting.size >= limits.maxRequests) {
      this.#onRefused();
      return Promise.reject(unavailable(`${this.#waiting.size} requests wait for a backend already`));
    }
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const leave = (): void => {
      clearTimeout(waiter.timer);
      this.#waiting.delete(waiter);
      signal.removeEventListener("abort", onAbort);
    };
    const onAbort = (): void => {
      leave();
      reject(signal.reason);
    };
    const waiter: Waiter = {
      release: () => {
        leave();
        resolve();
      },
      refuse: (error) => {
        leave();
        this.#onRefused();
        reject(error);
      },
      timer: setTimeout(
        () => waiter.refuse(unavailable(`no backend became ready within ${limits.seconds} s`)),
        limits.seconds * 1000,
      ),
    };
    signal.addEventListener("abort", onAbort, { once: true });
    this.#waiting.add(waiter);
    if (!this.#probing) void this.#probeUntilOpen();
    return promise;
  }

  async #probeUntilOpen(): Promise<void> {
    this.#probing = true;
    while (this.#waiting.size > 0) {
      if (await this.#probe()) {
        for (const waiter of this.#waiting) waiter.release();
        break;
      }
      await new Promise((resolve) => setTimeout(resolve, PROBE_INTERVAL_MS));
    }
    this.#probing = false;
  }
}

export function unavailable(message: string): NaruError {
  return new NaruError({
    code: "BackendUnavailable",
    message,
    remedy: "try again shortly; if it lasts, look at the pods of the ModelServing",
    status: 503,
  });
}
