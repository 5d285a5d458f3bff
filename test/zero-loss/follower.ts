import type { PoolingProxy } from "./proxies/proxy.ts";

/** Longest time between a change of the endpoints and a proxy's knowing of it. */
export const MOST_LAG_MILLISECONDS = 2000;

const LOOK_MILLISECONDS = 50;

/** One look at the endpoints for all who ask within the same moment. */
export function shared(look: () => Promise<readonly string[]>): () => Promise<readonly string[]> {
  let at = Number.NEGATIVE_INFINITY;
  let last: Promise<readonly string[]> = Promise.resolve([]);
  return () => {
    const now = performance.now();
    if (now - at >= LOOK_MILLISECONDS / 2) {
      at = now;
      last = look();
    }
    return last;
  };
}

export interface Follower {
  /** Longest time, at most, that the proxy went without a change: on a busy machine more than it was meant to be. */
  readonly mostLagMilliseconds: () => number;
  stop(): Promise<void>;
}

/**
 * Keeps a proxy's upstreams at the endpoints, each change late by 0 to 2 s and in order, as endpoints reach an
 * ingress or a load balancer's target group.
 */
export function follow(
  endpoints: () => Promise<readonly string[]>,
  proxy: PoolingProxy,
  random: () => number,
): Follower {
  let going = true;
  let seen = "";
  let lastAt = 0;
  let mostLag = 0;
  /** When the endpoints were last asked for: a change that is seen came after it. */
  let lookedAt = performance.now();
  const due: { since: number; at: number; addresses: readonly string[] }[] = [];

  async function run(): Promise<void> {
    while (going) {
      const since = lookedAt;
      lookedAt = performance.now();
      const addresses = await endpoints();
      const now = performance.now();
      const key = [...addresses].sort().join();
      if (key !== seen) {
        // The first endpoints come at once: before them there is nothing to be late for.
        const first = seen === "";
        lastAt = first ? now : Math.max(lastAt, now + random() * MOST_LAG_MILLISECONDS);
        seen = key;
        due.push({ since: first ? now : since, at: lastAt, addresses });
      }
      for (let next = due[0]; next !== undefined && next.at <= now; next = due[0]) {
        due.shift();
        await proxy.setUpstreams(next.addresses);
        mostLag = Math.max(mostLag, performance.now() - next.since);
      }
      await new Promise((resolve) => setTimeout(resolve, LOOK_MILLISECONDS));
    }
  }

  const running = run();
  return {
    mostLagMilliseconds: () => mostLag,
    async stop() {
      going = false;
      await running;
    },
  };
}

/** A repeatable source of numbers from 0 to 1 (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}
