import { spawn } from "node:child_process";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { CountedLoad } from "../counted-load.ts";
import { pinned } from "./pinned.ts";

export type Protocol = "json" | "binary" | "grpc" | "nested";

export interface LoadJob {
  readonly protocol: Protocol;
  readonly port: number;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly payloadFile: string;
  readonly clients: number;
  readonly seconds: number;
  readonly warmupSeconds: number;
  /** The server and all that it started: whose CPU time is counted. */
  readonly serverPids: readonly number[];
}

export interface LoadResult extends CountedLoad {
  readonly cpuMicrosecondsPerCall: number;
}

/** Runs the job in a process on the load's core. */
export async function runLoad(folder: string, job: LoadJob): Promise<LoadResult> {
  const file = join(folder, "job.json");
  await writeFile(file, JSON.stringify(job));
  const [command, args] = pinned("load", process.execPath, [
    join(import.meta.dirname, "load-process.ts"),
    file,
  ]);
  const program = spawn(command, args, { stdio: ["ignore", "pipe", "inherit"] });
  let output = "";
  program.stdout.on("data", (chunk: Buffer) => {
    output += chunk.toString();
  });
  const [code] = (await once(program, "close")) as [number | null];
  if (code !== 0) throw new Error(`the load ended with ${code}`);
  return JSON.parse(output) as LoadResult;
}
