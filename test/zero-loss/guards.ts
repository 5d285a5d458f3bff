import { type SpecOf, specOf, type ZeroLossPath } from "./paths.ts";
import type { RunOptions } from "./run.ts";

/** One guard taken away and all others left: requests must be lost, or the tests above could not fail. */
export interface RemovedGuard {
  readonly guard: string;
  readonly path: ZeroLossPath;
  /** How the loss is provoked quickly. */
  readonly load: Pick<
    RunOptions,
    "idleTimeoutSeconds" | "clients" | "thinkMilliseconds" | "gaps" | "busyMilliseconds"
  >;
}

const termination = { preStopSeconds: 3, drainSeconds: 4 };

/** The rollout, with other settings for how pods end. */
function rolloutWith(name: string, settings: object, of: SpecOf = specOf): ZeroLossPath {
  const spec = (model: string) => of(model, settings);
  return {
    name,
    spec: spec("v1"),
    async disturb(world) {
      await world.apply(spec("v2"));
      await world.apply(spec("v1"));
    },
  };
}

/** Rollouts whose pods end before proxies know of it. */
export function withoutPreStop(of: SpecOf): ZeroLossPath {
  return rolloutWith("no preStop", { termination: { preStopSeconds: 0, drainSeconds: 1 } }, of);
}

export const REMOVED_GUARDS: readonly RemovedGuard[] = [
  {
    guard: "keep-alive above the proxy's",
    // The resource says 1 s; the proxies keep connections for longer than the server's 2 s.
    path: {
      name: "keep-alive below the proxy's",
      spec: specOf("v1", {
        ingress: { profile: "NGINX", idleTimeoutSeconds: 1, keepAliveSeconds: 2 },
        termination,
      }),
      disturb: () => new Promise((resolve) => setTimeout(resolve, 500)),
    },
    // Node closes a second after the time-out. Bursts that begin in those milliseconds meet closing connections.
    load: {
      idleTimeoutSeconds: 10,
      clients: 64,
      thinkMilliseconds: 1,
      busyMilliseconds: 100,
      gaps: [2.9, 2.93, 2.96, 2.99, 3.02],
    },
  },
  {
    guard: "preStop",
    // A long drain makes up for it, since a server that drains goes on accepting; with a short one it shows.
    path: withoutPreStop(specOf),
    load: {},
  },
  {
    guard: "idle connections kept open in drain",
    path: rolloutWith("no drain", { termination: { ...termination, drainSeconds: 0 } }),
    // A busy server that closes what it takes for idle cuts requests that it has not read yet.
    load: { clients: 64, thinkMilliseconds: 1, gaps: [0.05] },
  },
];
