import { readFile } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import type { ApiServer } from "../../support/api-server.ts";
import { cpuMicroseconds, residentMegabytes } from "../process-usage.ts";
import { apiRequests } from "./api-requests.ts";
import type { RunningContender } from "./contenders.ts";
import type { Population } from "./population.ts";
import type { OperatorRow } from "./result.ts";
import { NoProgress, quiet, reconciles, seconds, until } from "./waiting.ts";

/** Milliseconds between two newcomers. */
const NEWCOMER_EVERY = 2_000;
const NEWCOMER_EVERY_IN_RESYNC = 100;
/** Milliseconds between two looks at a pass: each has the contender write all of its metrics. */
const LOOK_EVERY = 250;
/** Milliseconds within which a first pass must have come further. */
const TELL_EVERY = 20_000;

export async function measureEmpty(
  running: RunningContender,
  say: (line: string) => void,
): Promise<OperatorRow["empty"]> {
  await quiet(running);
  await running.collectGarbage();
  const megabytes = residentMegabytes([running.pid]);
  say(`without any resource: ${Math.round(megabytes)} MB`);
  return { megabytes };
}

export async function measureFirstPass(
  running: RunningContender,
  server: ApiServer,
  population: Population,
  resources: number,
  say: (line: string) => void,
): Promise<OperatorRow["firstPass"]> {
  const before = await apiRequests(server);
  await until("the first reconcile", 20, async () => (await reconciles(running)) > 0);
  const from = performance.now();
  const cpuBefore = cpuMicroseconds([running.pid]);
  let over = false;
  const newcomers = newcomersUntil(population, NEWCOMER_EVERY, () => over);
  let told = from;
  let last = -1;
  await until("the first pass", 500, async () => {
    const served = await population.served();
    if (performance.now() - told > TELL_EVERY) {
      if (served === last) throw new NoProgress(`${served} of ${resources}: ${running.lastWords()}`);
      told = performance.now();
      last = served;
      say(`${served} of ${resources} after ${seconds(told - from)}`);
    }
    return served >= resources;
  });
  over = true;
  const milliseconds = performance.now() - from;
  const cpu = cpuMicroseconds([running.pid]) - cpuBefore;
  const writes = (await apiRequests(server)).writes - before.writes;
  const waits = await newcomers;
  const peak = await peakMegabytes(running.pid);
  const perSecond = (writes / milliseconds) * 1000;
  say(
    `first pass in ${seconds(milliseconds)}: ${Math.round(perSecond)} writes/s, newcomers ${tell(waits)}, ${Math.round(peak)} MB at most`,
  );
  return {
    seconds: milliseconds / 1000,
    writesPerSecond: perSecond,
    cpuMicrosecondsPerWrite: cpu / writes,
    newcomers: waits,
    peakMegabytes: peak,
  };
}

export async function measureRest(
  running: RunningContender,
  idleSeconds: number,
  say: (line: string) => void,
): Promise<OperatorRow["rest"]> {
  await quiet(running);
  await running.collectGarbage();
  const megabytes = residentMegabytes([running.pid]);
  const requestsBefore = await running.metric("rest_client_requests_total");
  const cpuBefore = cpuMicroseconds([running.pid]);
  await delay(idleSeconds * 1000);
  const cpu = cpuMicroseconds([running.pid]) - cpuBefore;
  const requests = (await running.metric("rest_client_requests_total")) - requestsBefore;
  const rest = {
    megabytes,
    requestsPerMinute: (requests / idleSeconds) * 60,
    cpuPercent: cpu / idleSeconds / 10_000,
  };
  say(`at rest: ${Math.round(megabytes)} MB, ${Math.round(rest.requestsPerMinute)} requests a minute`);
  return rest;
}

export async function measureNoOp(
  running: RunningContender,
  server: ApiServer,
  resources: number,
  say: (line: string) => void,
): Promise<OperatorRow["noOp"]> {
  const before = await apiRequests(server);
  let first = 0;
  await until("the first reconcile", 10, async () => {
    first = await reconciles(running);
    return first > 0;
  });
  const from = performance.now();
  const cpuBefore = cpuMicroseconds([running.pid]);
  let last = first;
  await until("the no-op pass", LOOK_EVERY, async () => {
    last = await reconciles(running);
    return last >= resources;
  });
  const milliseconds = performance.now() - from;
  const cpu = cpuMicroseconds([running.pid]) - cpuBefore;
  await quiet(running);
  const after = await apiRequests(server);
  const peak = await peakMegabytes(running.pid);
  await running.collectGarbage();
  const noOp = {
    startSeconds: (from - running.startedAt) / 1000,
    perSecond: ((last - first) / milliseconds) * 1000,
    cpuMicroseconds: cpu / (last - first),
    requests: after.writes - before.writes + after.reads - before.reads,
    peakMegabytes: peak,
    megabytes: residentMegabytes([running.pid]),
  };
  say(
    `started again: first reconcile after ${seconds(from - running.startedAt)}, ${Math.round(noOp.perSecond)} no-op/s, ${noOp.requests} requests, ${Math.round(peak)} MB at most, ${Math.round(noOp.megabytes)} after`,
  );
  return noOp;
}

export async function measureResync(
  start: () => Promise<RunningContender>,
  population: Population,
  resources: number,
  say: (line: string) => void,
): Promise<OperatorRow["resync"]> {
  // It waits from before the start; what it waits for then is the start and its turn.
  const cameBefore = population.newcomer();
  const running = await start();
  await until("the first reconcile", 10, async () => (await reconciles(running)) > 0);
  let over = false;
  const newcomers = newcomersUntil(population, NEWCOMER_EVERY_IN_RESYNC, () => over);
  await until("the resync", LOOK_EVERY, async () => (await reconciles(running)) >= resources);
  over = true;
  const resync = { cameBefore: (await cameBefore) / 1000, newcomers: await newcomers };
  say(
    `restart: who came before it waited ${resync.cameBefore.toFixed(1)} s, newcomers ${tell(resync.newcomers)}`,
  );
  return resync;
}

/** One newcomer after the other: each waits for its own. At least one. */
async function newcomersUntil(
  population: Population,
  every: number,
  over: () => boolean,
): Promise<readonly number[]> {
  const waits: number[] = [];
  do {
    waits.push(await population.newcomer());
    await delay(every);
  } while (!over());
  return waits;
}

/** The most memory that a process ever had resident. */
async function peakMegabytes(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  return Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? Number.NaN) / 1024;
}

function tell(waits: readonly number[]): string {
  return `(${waits.length}) at most ${Math.round(Math.max(...waits))} ms`;
}
