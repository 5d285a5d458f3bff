import { eventually } from "../support/eventually.ts";
import { digitsShot } from "./digits-shots.ts";
import { type Follower, follow, seeded, shared } from "./follower.ts";
import { type LoadReport, startLoad } from "./load.ts";
import { IDLE_SECONDS, type ZeroLossPath } from "./paths.ts";
import { startHaproxy } from "./proxies/haproxy.ts";
import { startNginx } from "./proxies/nginx.ts";
import type { PoolingProxy } from "./proxies/proxy.ts";
import { serviceClient } from "./proxies/service-client.ts";
import { startWorld, type World } from "./world.ts";

export interface RunOptions {
  /** Least requests, over both proxies and the Service together. */
  readonly requests: number;
  /** Idle time-out of the proxies, where it is not what the resource says. */
  readonly idleTimeoutSeconds?: number;
  /** Stops as soon as something was lost: enough where a loss is what has to be seen. */
  readonly untilLost?: boolean;
  readonly mostMilliseconds?: number;
  /** Times that the path is gone through at most; then the load goes on without. */
  readonly mostDisturbances?: number;
  readonly clients?: number;
  readonly thinkMilliseconds?: number;
  /** Seconds between bursts, in turn. */
  readonly gaps?: readonly number[];
  readonly busyMilliseconds?: number;
}

export interface PathOutcome {
  readonly path: string;
  readonly proxy: string;
  readonly disturbances: number;
  /** Within what pods' preStop covers, or a loss is this machine's, which is too busy, and says nothing of Naru. */
  readonly mostLagMilliseconds: number;
  readonly report: LoadReport;
}

/** Seconds between bursts: short ones, and some around the proxies' idle time-out. */
const GAPS = [0.1, 1.9, 0.4, 2, 0.2, 2.1];

/** Where the load goes. */
export type Target = Pick<World, "endpoints" | "serviceUrl">;

/** Runs a path under load through both proxies and the Service at once, until the load is sent and the path went through once. */
export async function runPath(
  path: ZeroLossPath,
  options: RunOptions,
  start: () => Promise<World> = startWorld,
): Promise<readonly PathOutcome[]> {
  const world = await start();
  try {
    await world.apply(path.spec);
    return await underLoad(path.name, world, () => path.disturb(world, path.spec), options);
  } finally {
    await world.stop();
  }
}

/** Disturbs what already serves `digits` while requests arrive through both proxies and the Service at once. */
export async function underLoad(
  path: string,
  target: Target,
  disturb: () => Promise<void>,
  options: RunOptions,
): Promise<readonly PathOutcome[]> {
  const idleTimeoutSeconds = options.idleTimeoutSeconds ?? IDLE_SECONDS;
  const gaps = options.gaps ?? GAPS;
  const random = seeded(path.length * 7919);
  const proxies: PoolingProxy[] = [];
  const followers: Follower[] = [];
  try {
    for (const start of [startNginx, startHaproxy]) proxies.push(await start({ idleTimeoutSeconds }));
    proxies.push(serviceClient(await target.serviceUrl()));
    const endpoints = shared(() => target.endpoints());
    for (const proxy of proxies) followers.push(follow(endpoints, proxy, random));
    for (const proxy of proxies) await answers(proxy);

    const loads = proxies.map((proxy) =>
      startLoad({
        url: proxy.url,
        clients: options.clients ?? 8,
        keepAlive: proxy.clientsKeepAlive,
        shot: digitsShot,
        thinkMilliseconds: options.thinkMilliseconds ?? 5,
        bursts: {
          busyMilliseconds: options.busyMilliseconds ?? 500,
          gapMilliseconds: (burst) => (gaps[burst % gaps.length] ?? 0) * 1000 + random() * 50,
        },
      }),
    );
    const deadline = performance.now() + (options.mostMilliseconds ?? Number.POSITIVE_INFINITY);
    const goOn = () => {
      if (performance.now() > deadline) return false;
      if (options.untilLost) return loads.every((load) => load.lost() === 0);
      return loads.some((load) => load.sent() * loads.length < options.requests);
    };
    let disturbances = 0;
    do {
      await disturb();
      disturbances += 1;
    } while (disturbances < (options.mostDisturbances ?? Number.POSITIVE_INFINITY) && goOn());
    while (goOn()) await new Promise((resolve) => setTimeout(resolve, 50));
    // Until the last change has reached both proxies and the pods that left are gone.
    if (!options.untilLost) await new Promise((resolve) => setTimeout(resolve, 3000));
    const reports = await Promise.all(loads.map((load) => load.finish()));
    return reports.map((report, index) => ({
      path,
      proxy: proxies[index]?.name ?? "",
      disturbances,
      mostLagMilliseconds: Math.round(followers[index]?.mostLagMilliseconds() ?? 0),
      report,
    }));
  } finally {
    for (const follower of followers) await follower.stop();
    for (const proxy of proxies) await proxy.stop();
  }
}

/** Waits until the proxy has its upstreams, so that the load begins on ground that holds. */
async function answers(proxy: PoolingProxy): Promise<void> {
  const { path, body, headers } = digitsShot(0);
  // Without upstreams a proxy answers 503 or closes the connection.
  await eventually(`an answer through ${proxy.name}`, async () => {
    const response = await fetch(`${proxy.url}${path}`, { method: "POST", body: String(body), headers });
    await response.arrayBuffer();
    return response.ok;
  });
}
