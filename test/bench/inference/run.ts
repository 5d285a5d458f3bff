import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { encodeModelInferRequest } from "../../../lib/grpc/infer-request.ts";
import { median } from "../median.ts";
import { residentMegabytes } from "../process-usage.ts";
import { type LoadResult, type Protocol, runLoad } from "./load-job.ts";
import { type BenchServer, pathOf, type RunningServer, SERVERS } from "./servers.ts";
import {
  binaryBody,
  type HttpBody,
  jsonBody,
  nestedBody,
  v2Request,
  type Workload,
  workloads,
} from "./workloads.ts";

export interface BenchOptions {
  /** One round of one second, 32 clients, no Python peers: to see that it runs. */
  readonly quick: boolean;
}

/** One line of the table: medians over the rounds. */
export interface BenchRow {
  readonly model: string;
  readonly protocol: Protocol;
  readonly clients: number;
  readonly server: string;
  readonly callsPerSecond: number;
  readonly p50Milliseconds: number;
  readonly p99Milliseconds: number;
  readonly cpuMicrosecondsPerCall: number;
  readonly failures: number;
  readonly residentMegabytes: number;
  readonly startMilliseconds: number;
}

const PROTOCOLS: readonly Protocol[] = ["json", "binary", "grpc", "nested"];
/** Bare handlers and ours are repeated, in turn, so that a ratio holds while the machine's speed drifts. */
const isOurs = (server: BenchServer) => server.name.startsWith("Naru") || server.name.startsWith("bare");

export async function benchInference(
  options: BenchOptions,
  say: (line: string) => void,
): Promise<BenchRow[]> {
  const folder = await mkdtemp(join(tmpdir(), "naru-bench-"));
  const rows: BenchRow[] = [];
  try {
    for (const workload of await workloads())
      rows.push(...(await benchModel(workload, folder, options, say)));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  return rows;
}

async function benchModel(
  workload: Workload,
  folder: string,
  options: BenchOptions,
  say: (line: string) => void,
): Promise<BenchRow[]> {
  const rows: BenchRow[] = [];
  const ours = SERVERS.filter(isOurs);
  const peers = options.quick
    ? []
    : SERVERS.filter((server) => !isOurs(server) && server.missing === undefined);
  rows.push(...(await benchTogether(ours, workload, folder, options, options.quick ? 1 : 3, say)));
  for (const peer of peers) rows.push(...(await benchTogether([peer], workload, folder, options, 1, say)));
  return rows;
}

/** Starts the servers and measures them in turn, protocol by protocol, round by round. */
async function benchTogether(
  servers: readonly BenchServer[],
  workload: Workload,
  folder: string,
  options: BenchOptions,
  rounds: number,
  say: (line: string) => void,
): Promise<BenchRow[]> {
  const running: { server: BenchServer; process: RunningServer }[] = [];
  const rows: BenchRow[] = [];
  try {
    for (const server of servers) running.push({ server, process: await server.start(workload, folder) });
    for (const protocol of PROTOCOLS) {
      const speaking = running.filter(({ server }) => server.protocols.includes(protocol));
      for (const clients of options.quick ? [32] : [1, 8, 32]) {
        const results = new Map<string, LoadResult[]>();
        for (let round = 0; round < rounds; round += 1) {
          for (const { server, process } of speaking) {
            const result = await measure(server, process, {
              workload,
              protocol,
              clients,
              folder,
              seconds: options.quick ? 1 : 2,
            });
            results.set(server.name, [...(results.get(server.name) ?? []), result]);
          }
        }
        for (const { server, process } of speaking) {
          const row = summarize(server, process, workload, protocol, clients, results.get(server.name) ?? []);
          rows.push(row);
          say(
            `${row.model} ${protocol} ${clients} clients ${server.name}: ${Math.round(row.callsPerSecond)}/s`,
          );
        }
      }
    }
  } finally {
    for (const { process } of running) await process.stop();
  }
  return rows;
}

interface Measurement {
  readonly workload: Workload;
  readonly protocol: Protocol;
  readonly clients: number;
  readonly folder: string;
  readonly seconds: number;
}

async function measure(server: BenchServer, process: RunningServer, what: Measurement): Promise<LoadResult> {
  const { body, headers } = payload(what.workload, what.protocol);
  const payloadFile = join(what.folder, `${what.workload.name}.${what.protocol}`);
  await writeFile(payloadFile, body);
  return runLoad(what.folder, {
    protocol: what.protocol,
    port: process.ports[what.protocol === "grpc" ? "grpc" : "http"],
    path: pathOf(server, what.protocol),
    headers,
    payloadFile,
    clients: what.clients,
    seconds: what.seconds,
    warmupSeconds: 0.5,
    serverPids: process.pids(),
  });
}

function payload(workload: Workload, protocol: Protocol): HttpBody {
  switch (protocol) {
    case "json":
      return jsonBody(workload);
    case "binary":
      return binaryBody(workload);
    case "nested":
      return nestedBody(workload);
    case "grpc":
      return {
        body: encodeModelInferRequest({ modelName: "bench", modelVersion: "", request: v2Request(workload) }),
        headers: {},
      };
  }
}

function summarize(
  server: BenchServer,
  process: RunningServer,
  workload: Workload,
  protocol: Protocol,
  clients: number,
  results: readonly LoadResult[],
): BenchRow {
  const middle = (pick: (result: LoadResult) => number) => median(results.map(pick));
  return {
    model: workload.name,
    protocol,
    clients,
    server: server.name,
    callsPerSecond: middle((one) => one.callsPerSecond),
    p50Milliseconds: middle((one) => one.p50Milliseconds),
    p99Milliseconds: middle((one) => one.p99Milliseconds),
    cpuMicrosecondsPerCall: middle((one) => one.cpuMicrosecondsPerCall),
    failures: results.reduce((sum, one) => sum + one.failures, 0),
    residentMegabytes: residentMegabytes(process.pids()),
    startMilliseconds: process.startMilliseconds,
  };
}
