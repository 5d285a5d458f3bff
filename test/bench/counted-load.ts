/** How much load, and for how long. */
export interface LoadTimes {
  /** Connections, each with one call in flight. */
  readonly clients: number;
  readonly seconds: number;
  /** Before counting. */
  readonly warmupSeconds: number;
  /** Called when counting begins and ends, to read the server's CPU time. */
  readonly onEdge?: () => void;
}

export interface CountedLoad {
  readonly calls: number;
  readonly failures: number;
  readonly callsPerSecond: number;
  readonly p50Milliseconds: number;
  readonly p99Milliseconds: number;
}

/** Says how a call went and how long it took. */
export type Done = (milliseconds: number, ok: boolean) => void;

/** Calls again as soon as it was answered, until it is stopped. */
export interface LoadClient {
  call(): void;
  stop(): void;
}

/** Has all clients call at once, and counts what comes after the warm-up. */
export async function countedLoad(
  load: LoadTimes,
  connect: (done: Done) => Promise<LoadClient>,
): Promise<CountedLoad> {
  const latencies: number[] = [];
  const counts = { calls: 0, failures: 0, counting: false };
  const done = (milliseconds: number, ok: boolean) => {
    if (!counts.counting) return;
    if (ok) counts.calls += 1;
    else counts.failures += 1;
    latencies.push(milliseconds);
  };
  const clients = await Promise.all(Array.from({ length: load.clients }, () => connect(done)));
  for (const client of clients) client.call();
  await sleep(load.warmupSeconds);
  load.onEdge?.();
  counts.counting = true;
  const began = performance.now();
  await sleep(load.seconds);
  counts.counting = false;
  const seconds = (performance.now() - began) / 1000;
  load.onEdge?.();
  for (const client of clients) client.stop();
  latencies.sort((a, b) => a - b);
  const quantile = (q: number) => latencies[Math.floor(q * (latencies.length - 1))] ?? Number.NaN;
  return {
    calls: counts.calls,
    failures: counts.failures,
    callsPerSecond: counts.calls / seconds,
    p50Milliseconds: quantile(0.5),
    p99Milliseconds: quantile(0.99),
  };
}

function sleep(seconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, seconds * 1000));
}
