import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { assemble } from "../../../scripts/image/assemble.ts";
import { freePort } from "../../support/program.ts";
import type { Access } from "./access.ts";
import { peerTemplate } from "./template.ts";
import { NoProgress } from "./waiting.ts";

const ROOT = join(import.meta.dirname, "../../..");
/** Collects garbage on SIGUSR2, so that what is really held can be told from what has not been collected yet. */
const COLLECT_ON_SIGNAL =
  "data:text/javascript,process.on('SIGUSR2',()=>gc({type:'major',execution:'sync',flavor:'last-resort'}))";
const PEER = join(import.meta.dirname, "../peers/controller-runtime");
/** Reconciles at once, of both. */
export const CONCURRENCY = 8;
export const RUNTIME_IMAGE =
  "registry.example/naru/runtime@sha256:0f5a1b6d5a8ce02b8b7a5b1f8e3f6d0d3e2c1b4a59687786950a1b2c3d4e5f60";

/** A program that reconciles ModelServings. */
export interface Contender {
  readonly name: string;
  /** What it is made of. */
  readonly version: string;
  start(access: Access): Promise<RunningContender>;
}

export interface RunningContender {
  readonly pid: number;
  /** `performance.now()` of its start. */
  readonly startedAt: number;
  /** The sum of a metric over those of its series that have all these labels. @throws while it does not answer yet */
  metric(name: string, labels?: Readonly<Record<string, string>>): Promise<number>;
  /** The end of what it wrote. */
  lastWords(): string;
  /** Collects garbage, and resolves when that is over. */
  collectGarbage(): Promise<void>;
  /** Ends it as a kubelet does. */
  stop(): Promise<void>;
}

/**
 * Builds what the operator's image holds into `folder`: compiled, and with the packages that it imports. It starts as
 * in a pod.
 */
export async function naru(folder: string): Promise<Contender> {
  const dist = join(folder, "dist");
  const app = join(folder, "app");
  const compiler = join(ROOT, "node_modules/typescript/bin/tsc");
  await promisify(execFile)(
    process.execPath,
    [compiler, "-p", join(ROOT, "tsconfig.build.json"), "--outDir", dist],
    { cwd: ROOT },
  );
  await assemble({ root: ROOT, dist, entry: "operator/main.js", folder: app, time: 0 });
  return {
    name: "Naru",
    version: `Node ${process.version}`,
    start: ({ folder, env }) =>
      launch(env, (port) => [
        process.execPath,
        "--expose-gc",
        `--import=${COLLECT_ON_SIGNAL}`,
        join(app, "dist/operator/main.js"),
        `--service-account-folder=${folder}`,
        `--runtime-image=${RUNTIME_IMAGE}`,
        "--namespace=default",
        `--concurrency=${CONCURRENCY}`,
        "--health-address=0",
        `--metrics-address=127.0.0.1:${port}`,
      ]),
  };
}

/** Builds the peer into `folder`; a text says why it can't be measured. */
export async function controllerRuntime(folder: string): Promise<Contender | string> {
  const program = join(folder, "controller-runtime");
  const run = promisify(execFile);
  try {
    await run("go", ["build", "-o", program, "."], { cwd: PEER });
  } catch (thrown) {
    const { code, stderr = "" } = thrown as { code?: unknown; stderr?: string };
    return code === "ENOENT"
      ? "controller-runtime: there is no Go to build it with"
      : `controller-runtime: it could not be built: ${stderr.trim().split("\n").at(-1)}`;
  }
  const template = join(folder, "template.json");
  await writeFile(template, JSON.stringify(peerTemplate()));
  const { stdout: go } = await run("go", ["env", "GOVERSION"]);
  const module = await readFile(join(PEER, "go.mod"), "utf8");
  const library = /controller-runtime (v[\d.]+)/.exec(module)?.[1] ?? "";
  return {
    name: "controller-runtime",
    version: `controller-runtime ${library}, ${go.trim()}`,
    start: ({ kubeconfig }) =>
      launch({ KUBECONFIG: kubeconfig }, (port) => [
        program,
        `--template=${template}`,
        `--concurrency=${CONCURRENCY}`,
        `--metrics-address=127.0.0.1:${port}`,
      ]),
  };
}

async function launch(
  env: Readonly<Record<string, string>>,
  commandOf: (port: number) => readonly string[],
): Promise<RunningContender> {
  const port = await freePort();
  const [command = "", ...args] = commandOf(port);
  const startedAt = performance.now();
  const child = spawn(command, args, {
    env: { ...process.env, NODE_ENV: "production", ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  await once(child, "spawn");
  const said = lastWords(child);
  return {
    pid: child.pid ?? 0,
    startedAt,
    lastWords: said,
    async metric(name, labels = {}) {
      if (child.exitCode !== null) throw new NoProgress(`${command} ended with ${child.exitCode}: ${said()}`);
      const answer = await fetch(`http://127.0.0.1:${port}/metrics`);
      return sumOf(await answer.text(), name, labels);
    },
    async collectGarbage() {
      // The second finds what finalizers of the first let go.
      for (let round = 0; round < 2; round++) {
        child.kill("SIGUSR2");
        await new Promise((resolve) => setTimeout(resolve, 2_000));
      }
    },
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const exited = once(child, "exit");
      child.kill("SIGTERM");
      const limit = setTimeout(() => child.kill("SIGKILL"), 60_000);
      await exited;
      clearTimeout(limit);
    },
  };
}

/** The end of what a program writes: read, so that it never waits for a reader. */
function lastWords(child: ChildProcess): () => string {
  let said = "";
  const add = (chunk: Buffer): void => {
    said = (said + chunk.toString()).slice(-2_000);
  };
  child.stdout?.on("data", add);
  child.stderr?.on("data", add);
  return () => said;
}

/** Sums the series of one metric in Prometheus' text format. */
export function sumOf(text: string, name: string, labels: Readonly<Record<string, string>>): number {
  const wanted = Object.entries(labels).map(([label, value]) => `${label}="${value}"`);
  let sum = 0;
  for (const line of text.split("\n")) {
    if (!line.startsWith(name) || (line[name.length] !== "{" && line[name.length] !== " ")) continue;
    if (wanted.every((label) => line.includes(label))) sum += Number(line.slice(line.lastIndexOf(" ") + 1));
  }
  return sum;
}
