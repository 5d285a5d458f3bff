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

/**
 * Keeps a proxy's upstreams at the endpoints, each change late by 0 to 2 s and in order, as endpoints reach an
 * ingress or a load balancer's target group.
 */
export function follow(
  endpoints: () => Promise<readonly string[]>,
  proxy: PoolingProxy,
  random: () => number,
): { stop(): Promise<void> } {
  let going = true;
  let seen = "";
  let lastAt = 0;
  const due: { at: number; addresses: readonly string[] }[] = [];

  async function run(): Promise<void> {
    while (going) {
      const addresses = await endpoints();
      const now = performance.now();
      const key = [...addresses].sort().join();
      if (key !== seen) {
        // The first endpoints come at once: before them there is nothing to be late for.
        lastAt = seen === "" ? now : Math.max(lastAt, now + random() * MOST_LAG_MILLISECONDS);
        seen = key;
        due.push({ at: lastAt, addresses });
      }
      while (due[0] !== undefined && due[0].at <= now) await proxy.setUpstreams(due.shift()?.addresses ?? []);
      await new Promise((resolve) => setTimeout(resolve, LOOK_MILLISECONDS));
    }
  }

  const running = run();
  return {
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
