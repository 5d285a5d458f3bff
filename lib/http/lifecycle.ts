import type { Activity } from "./activity.ts";

/** Connection rules of one listening server, from its first connection to its last. */
export interface ServerLifecycle {
  readonly draining: boolean;
  /** Open connections, idle ones included. */
  readonly connections: number;
  /** Requests that came and were not fully answered. */
  readonly inFlight: number;
  /**
   * Brings the server to an end without losing a request. Resolves when it no longer listens and every
   * connection is gone. Called again, it gives the same promise.
   *
   * From now on each answer says that it is the last of its connection (`Connection: close`, GOAWAY), but
   * nothing is cut: a proxy may hold an idle connection and be about to use it, and may open a new one since
   * endpoints reach it late. So the server goes on listening and serving until no connection has been open
   * for `quietMilliseconds`, or the budget ends. After the budget it stops listening, closes what is idle,
   * and gives requests in flight `finishMilliseconds` more.
   */
  drain(options?: DrainOptions): Promise<DrainReport>;
  /** Cuts every connection and stops listening, at once. */
  stop(): void;
}

export interface DrainOptions {
  /** Default: `drainSeconds` of the configuration. */
  budgetMilliseconds?: number;
  /** With no connection open for so long, the drain ends before its budget. Default 1000. */
  quietMilliseconds?: number;
  /** For requests still in flight at the end of the budget. Default 30000; the pod's grace may end it sooner. */
  finishMilliseconds?: number;
}

export interface DrainReport {
  /** Requests served, fully or not, after the drain began. */
  served: number;
  /** Idle connections that were still open when the budget ended. */
  idleClosed: number;
  /** Requests cut, since they took longer than the budget and what came after it. */
  cut: number;
  milliseconds: number;
}

export const DEFAULT_QUIET_MS = 1000;
export const DEFAULT_FINISH_MS = 30_000;

/** A drain that begins once, whoever asks for it, over what a server counts. */
export function lifecycleOf(
  activity: Activity,
  connections: () => number,
  drain: (options: DrainOptions) => Promise<DrainReport>,
  stop: () => void,
): ServerLifecycle {
  let draining: Promise<DrainReport> | undefined;
  return {
    get draining() {
      return draining !== undefined;
    },
    get connections() {
      return connections();
    },
    get inFlight() {
      return activity.inFlight;
    },
    drain(options = {}) {
      draining ??= drain(options);
      return draining;
    },
    stop,
  };
}
