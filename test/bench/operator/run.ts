import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { installModelServing } from "../../conformance/support/kube.ts";
import { missingAssets, startApiServer } from "../../support/api-server.ts";
import { openAccess } from "./access.ts";
import { type Contender, controllerRuntime, naru, type RunningContender } from "./contenders.ts";
import { measureEmpty, measureFirstPass, measureNoOp, measureRest, measureResync } from "./phases.ts";
import { Population } from "./population.ts";
import type { OperatorResult, OperatorRow } from "./result.ts";
import { seconds } from "./waiting.ts";

const RESOURCES = 10_000;
const QUICK_RESOURCES = 200;
const IDLE_SECONDS = 60;
const QUICK_IDLE_SECONDS = 10;

/** Each contender in turn, on an API server of its own that holds the same resources. */
export async function benchOperator(quick: boolean, say: (line: string) => void): Promise<OperatorResult> {
  const absent = await missingAssets();
  if (absent !== undefined) throw new Error(`the operator's benchmark needs an API server: ${absent}`);
  const resources = Number(process.env.NARU_BENCH_RESOURCES ?? (quick ? QUICK_RESOURCES : RESOURCES));
  const idleSeconds = quick ? QUICK_IDLE_SECONDS : IDLE_SECONDS;
  const folder = await mkdtemp(join(tmpdir(), "naru-bench-operator-"));
  try {
    const peer = await controllerRuntime(folder);
    const contenders = [await naru(folder), ...(typeof peer === "string" ? [] : [peer])];
    const rows: OperatorRow[] = [];
    for (const contender of contenders) {
      rows.push(
        await measure(contender, folder, resources, idleSeconds, (line) => say(`${contender.name}: ${line}`)),
      );
    }
    const { stdout } = await promisify(execFile)(
      join(process.env.KUBEBUILDER_ASSETS ?? "", "kube-apiserver"),
      ["--version"],
    );
    return { resources, apiServer: stdout.trim(), rows, missing: typeof peer === "string" ? [peer] : [] };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function measure(
  contender: Contender,
  folder: string,
  resources: number,
  idleSeconds: number,
  say: (line: string) => void,
): Promise<OperatorRow> {
  const server = await startApiServer();
  let running: RunningContender | undefined;
  try {
    const access = await openAccess(server, await mkdtemp(join(folder, "access-")));
    const start = async (): Promise<RunningContender> => {
      running = await contender.start(access);
      return running;
    };
    await installModelServing(server);
    const empty = await measureEmpty(await start(), say);
    await running?.stop();
    const population = new Population(server);
    const from = performance.now();
    await population.create(resources);
    say(`${resources} resources are there after ${seconds(performance.now() - from)}`);
    const { name, version } = contender;
    const first = await start();
    const firstPass = await measureFirstPass(first, server, population, resources, say);
    const rest = await measureRest(first, idleSeconds, say);
    await first.stop();
    const noOp = await measureNoOp(await start(), server, resources, say);
    await running?.stop();
    const resync = await measureResync(start, population, resources, say);
    return { name, version, empty, firstPass, rest, noOp, resync };
  } finally {
    await running?.stop();
    await server.stop();
  }
}
