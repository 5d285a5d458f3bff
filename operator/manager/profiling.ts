import { Session } from "node:inspector/promises";
import { pipeline } from "node:stream/promises";
import { setTimeout as delay } from "node:timers/promises";
import { getHeapSnapshot } from "node:v8";
import type { Handler } from "./http.ts";

const DEFAULT_SECONDS = 10;
const MAX_SECONDS = 60;
const LOOPBACK = "127.0.0.1";

/**
 * What a person asks of a running operator, by `kubectl port-forward`; Chrome's developer tools open both. Served on
 * the loopback address and nowhere else: a heap snapshot holds every string of the process, its token among them.
 *
 * `/debug/cpu?seconds=10` is a CPU profile. `/debug/heap` stops the process while it is taken, for some seconds with a
 * large heap, and can cost it its lease.
 */
export function profilingPaths(): Readonly<Record<string, Handler>> {
  let busy = false;
  const oneAtATime =
    (handler: Handler): Handler =>
    async (response, query) => {
      if (busy) return void response.writeHead(409).end("another profile is being taken\n");
      busy = true;
      try {
        await handler(response, query);
      } finally {
        busy = false;
      }
    };
  return {
    "/debug/cpu": oneAtATime(async (response, query) => {
      const seconds = Number(query.get("seconds") ?? DEFAULT_SECONDS);
      if (!(seconds > 0 && seconds <= MAX_SECONDS)) {
        return void response.writeHead(400).end(`seconds: above 0, up to ${MAX_SECONDS}\n`);
      }
      const profile = await cpuProfile(seconds);
      response.writeHead(200, file("naru-operator.cpuprofile")).end(JSON.stringify(profile));
    }),
    "/debug/heap": oneAtATime(async (response) => {
      response.writeHead(200, file("naru-operator.heapsnapshot"));
      await pipeline(getHeapSnapshot(), response);
    }),
  };
}

export function profilingAddress(port: number): { host: string; port: number } {
  return { host: LOOPBACK, port };
}

async function cpuProfile(seconds: number): Promise<object> {
  const session = new Session();
  session.connect();
  try {
    await session.post("Profiler.enable");
    await session.post("Profiler.start");
    await delay(seconds * 1000);
    const { profile } = await session.post("Profiler.stop");
    return profile;
  } finally {
    session.disconnect();
  }
}

function file(name: string): Record<string, string> {
  return { "content-type": "application/json", "content-disposition": `attachment; filename="${name}"` };
}
