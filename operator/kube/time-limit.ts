import type { Clock } from "../engine/clock.ts";
import { ClusterError } from "../engine/cluster.ts";

/** Resolves after so many milliseconds, or when `signal` aborts. */
export async function pause(clock: Clock, milliseconds: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((resolve) => {
    const done = (): void => {
      cancel();
      signal.removeEventListener("abort", done);
      resolve();
    };
    const cancel = clock.after(milliseconds, done);
    signal.addEventListener("abort", done);
  });
}

/**
 * Runs a request that is cut off after so many milliseconds or by `signal`, and does not wait for one that takes no
 * notice. What it did by then is unknown.
 * @throws ClusterError Unavailable when time is up; the signal's reason when it aborts
 */
export async function within<T>(
  clock: Clock,
  milliseconds: number,
  signal: AbortSignal,
  run: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  signal.throwIfAborted();
  const limit = new AbortController();
  const cut = (): void => limit.abort(signal.reason);
  signal.addEventListener("abort", cut);
  const cancel = clock.after(milliseconds, () =>
    limit.abort(new ClusterError("Unavailable", `no answer within ${milliseconds} ms`)),
  );
  try {
    return await new Promise<T>((resolve, reject) => {
      limit.signal.addEventListener("abort", () => reject(limit.signal.reason), { once: true });
      run(limit.signal).then(resolve, reject);
    });
  } finally {
    cancel();
    signal.removeEventListener("abort", cut);
  }
}
