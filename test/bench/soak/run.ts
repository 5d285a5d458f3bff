import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runLoad } from "../inference/load-job.ts";
import { pathOf, type RunningServer, SERVERS } from "../inference/servers.ts";
import { jsonBody, workloads } from "../inference/workloads.ts";
import { residentMegabytes } from "../process-usage.ts";

/** 2 billion requests a month are 2.8 million an hour. */
const HOUR_OF_REQUESTS = 2_800_000;
/** V8 collects its old space for the first time after nearly an hour's worth: until then memory rises, leak or not. */
const HOURS = 3;
const DROPPED_CONNECTIONS = 10_000;
const SLICE_SECONDS = 10;

export interface SoakSample {
  readonly requests: number;
  readonly failures: number;
  readonly residentMegabytes: number;
}

export interface SoakResult {
  readonly samples: readonly SoakSample[];
  /** Highest resident memory of each hour's worth. */
  readonly peaks: readonly number[];
  readonly beforeConnections: number;
  readonly afterConnections: number;
}

/** Three hours' worth of requests at speed on the small CNN, then connections that are opened and dropped. */
export async function soak(quick: boolean, say: (line: string) => void): Promise<SoakResult> {
  const folder = await mkdtemp(join(tmpdir(), "naru-soak-"));
  const [workload] = await workloads();
  const server = SERVERS.find(({ name }) => name === "Naru");
  if (workload === undefined || server === undefined) throw new Error("no workload or server to soak");
  const running = await server.start(workload, folder);
  try {
    const { body, headers } = jsonBody(workload);
    const payloadFile = join(folder, "body");
    await writeFile(payloadFile, body);
    const samples: SoakSample[] = [];
    let requests = 0;
    let failures = 0;
    const wanted = quick ? 50_000 : HOURS * HOUR_OF_REQUESTS;
    while (requests < wanted) {
      const result = await runLoad(folder, {
        protocol: "json",
        port: running.ports.http,
        path: pathOf(server, "json"),
        headers,
        payloadFile,
        clients: 32,
        seconds: quick ? 1 : SLICE_SECONDS,
        warmupSeconds: 0,
        serverPids: running.pids(),
      });
      requests += result.calls;
      failures += result.failures;
      samples.push({ requests, failures, residentMegabytes: residentMegabytes(running.pids()) });
      say(
        `${requests} requests, ${failures} failed, ${Math.round(samples.at(-1)?.residentMegabytes ?? 0)} MB`,
      );
    }
    const beforeConnections = residentMegabytes(running.pids());
    await dropConnections(running, quick ? 500 : DROPPED_CONNECTIONS);
    const afterConnections = residentMegabytes(running.pids());
    return {
      samples,
      peaks: peaksOf(samples),
      beforeConnections,
      afterConnections,
    };
  } finally {
    await running.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

function peaksOf(samples: readonly SoakSample[]): number[] {
  const peaks: number[] = [];
  for (const { requests, residentMegabytes } of samples) {
    const hour = Math.min(HOURS - 1, Math.floor(requests / HOUR_OF_REQUESTS));
    peaks[hour] = Math.max(peaks[hour] ?? 0, residentMegabytes);
  }
  return peaks;
}

/** Opens connections by the hundred, writes half a request on each, and drops them. */
async function dropConnections({ ports }: RunningServer, count: number): Promise<void> {
  for (let opened = 0; opened < count; opened += 100) {
    const sockets = Array.from({ length: 100 }, () => connect(ports.http, "127.0.0.1"));
    await Promise.all(sockets.map((socket) => once(socket, "connect")));
    for (const socket of sockets) {
      socket.write("POST /v2/models/bench/infer HTTP/1.1\r\nhost: soak\r\ncontent-length: 100\r\n\r\nhalf");
      socket.resetAndDestroy();
    }
  }
}

/**
 * Memory moves in steps as V8 collects and sizes its heap, so a line through it says little. A leak shows as an
 * hour that peaks above the ones before.
 */
export function soakPage({ samples, peaks, beforeConnections, afterConnections }: SoakResult): string {
  const first = peaks[0] ?? 0;
  const last = samples.at(-1);
  const flat = peaks.every((peak) => peak <= first * 1.05);
  return [
    "# Soak: three hours' worth of requests at speed",
    "",
    "Written by `npm run bench -- soak`. Do not edit. Small CNN, JSON, 32 clients, batching at its default.",
    "",
    "| requests | failed | RSS MB |",
    "| ---: | ---: | ---: |",
    ...samples.map((one) => `| ${one.requests} | ${one.failures} | ${Math.round(one.residentMegabytes)} |`),
    "",
    `Requests: ${last?.requests ?? 0}, failed: ${last?.failures ?? 0}.`,
    `Peak of each hour's worth: ${peaks.map((peak) => `${Math.round(peak)} MB`).join(", ")}: ${flat ? "flat" : "**it grows**"}.`,
    `Connections opened, given half a request and dropped: RSS ${Math.round(beforeConnections)} → ${Math.round(afterConnections)} MB.`,
    "",
  ].join("\n");
}
