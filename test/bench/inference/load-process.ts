import { readFileSync } from "node:fs";
import { loadGrpc } from "../grpc-load.ts";
import { loadHttp } from "../http-load.ts";
import { cpuMicroseconds } from "../process-usage.ts";
import type { LoadJob, LoadResult } from "./load-job.ts";

/** `load-process.ts JOB.json`: the load as a process of its own, so that it can be held to a core of its own. */
const [, , file] = process.argv;
if (file === undefined) throw new Error("usage: load-process.ts JOB.json");
const job = JSON.parse(readFileSync(file, "utf8")) as LoadJob;
const payload = readFileSync(job.payloadFile);
const cpu: number[] = [];
const common = {
  port: job.port,
  path: job.path,
  clients: job.clients,
  seconds: job.seconds,
  warmupSeconds: job.warmupSeconds,
  onEdge: () => {
    cpu.push(cpuMicroseconds(job.serverPids));
  },
};
const result =
  job.protocol === "grpc"
    ? await loadGrpc({ ...common, message: payload })
    : await loadHttp({ ...common, body: payload, headers: job.headers });
const used = (cpu[1] ?? 0) - (cpu[0] ?? 0);
const answer: LoadResult = { ...result, cpuMicrosecondsPerCall: used / Math.max(1, result.calls) };
console.log(JSON.stringify(answer));
process.exit(0);
