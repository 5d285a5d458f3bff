import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { accepts, end, freePort } from "../../support/program.ts";
import { processTree } from "../process-usage.ts";
import type { Protocol } from "./load-job.ts";
import { pinned } from "./pinned.ts";
import { jsonBody, nestedBody, type Workload } from "./workloads.ts";

const ROOT = join(import.meta.dirname, "../../..");
const PEERS = process.env.NARU_BENCH_PEERS ?? join(ROOT, ".naru/bench");

/** A server under test, started for one model. */
export interface RunningServer {
  readonly ports: Readonly<Record<"http" | "grpc", number>>;
  readonly pids: () => readonly number[];
  /** From the start of the process to its first answer. */
  readonly startMilliseconds: number;
  stop(): Promise<void>;
}

export interface BenchServer {
  readonly name: string;
  readonly protocols: readonly Protocol[];
  /** Path of inference over HTTP. */
  readonly path: string;
  /** Why it can't be measured here, or undefined. */
  readonly missing?: string | undefined;
  start(workload: Workload, folder: string): Promise<RunningServer>;
}

interface Launch {
  readonly command: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
}

const GRPC_PATH = "/inference.GRPCInferenceService/ModelInfer";
const V2_PATH = "/v2/models/bench/infer";

export function pathOf(server: BenchServer, protocol: Protocol): string {
  return protocol === "grpc" ? GRPC_PATH : server.path;
}

async function launch(
  { command, args, env = {}, cwd = ROOT }: Launch,
  ports: { http: number; grpc: number },
  firstAnswer: (() => Promise<boolean>) | undefined,
): Promise<RunningServer> {
  const began = performance.now();
  const [program, all] = pinned("server", command, args);
  // A terminal of its own: servers that start others are ended with them.
  const child = spawn(program, all, {
    cwd,
    env: { ...process.env, ...env },
    stdio: ["ignore", "ignore", "pipe"],
    detached: true,
  });
  let said = "";
  child.stderr.on("data", (chunk: Buffer) => {
    said = (said + chunk.toString()).slice(-2000);
  });
  try {
    if (firstAnswer === undefined) await accepts(ports.grpc, child);
    else await until(child, firstAnswer);
  } catch (error) {
    child.kill("SIGKILL");
    throw new Error(`${command} ${args.join(" ")}: ${said}`, { cause: error });
  }
  return {
    ports,
    pids: () => processTree(child.pid ?? 0),
    startMilliseconds: performance.now() - began,
    async stop() {
      const pids = processTree(child.pid ?? 0);
      await end(child, "SIGKILL");
      for (const pid of pids.slice(1)) kill(pid);
    },
  };
}

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ESRCH")) throw error;
  }
}

async function until(child: ChildProcess, answers: () => Promise<boolean>): Promise<void> {
  for (let attempt = 0; attempt < 1200; attempt += 1) {
    if (child.exitCode !== null) throw new Error(`ended with ${child.exitCode}`);
    if (await answers().catch(() => false)) return;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  throw new Error("no answer within 30 s");
}

function answers(port: number, path: string, { body, headers }: ReturnType<typeof jsonBody>) {
  return async () => {
    const response = await fetch(`http://127.0.0.1:${port}${path}`, {
      method: "POST",
      body: new Uint8Array(body),
      headers,
    });
    await response.arrayBuffer();
    return response.ok;
  };
}

async function ports(): Promise<{ http: number; grpc: number }> {
  return { http: await freePort(), grpc: await freePort() };
}

/** Ours, with batching as given. */
function naru(name: string, batching: object): BenchServer {
  return {
    name,
    protocols: ["json", "binary", "grpc"],
    path: V2_PATH,
    async start(workload, folder) {
      const home = join(folder, name.replaceAll(/\W+/g, "-"));
      await mkdir(home, { recursive: true });
      await writeFile(join(home, "model.onnx"), workload.model);
      await writeFile(
        join(home, "inference.json"),
        JSON.stringify({ models: [{ name: "bench", path: "model.onnx", batching }] }),
      );
      const at = await ports();
      const env = {
        NARU_CONFIG_DIR: home,
        NARU_MODELS_DIR: home,
        NARU_LISTEN_HOST: "127.0.0.1",
        NARU_HTTP_PORT: String(at.http),
        NARU_GRPC_PORT: String(at.grpc),
        NARU_ADMIN_PORT: "0",
        NARU_TERMINATION_LOG: join(home, "termination-log"),
      };
      const args = [join(ROOT, "runtimes/main.ts"), "inference"];
      return launch(
        { command: process.execPath, args, env },
        at,
        answers(at.http, V2_PATH, jsonBody(workload)),
      );
    },
  };
}

async function modelFile(workload: Workload, folder: string): Promise<string> {
  const file = join(folder, `${workload.name}.onnx`);
  await writeFile(file, workload.model);
  return file;
}

const bareHttp: BenchServer = {
  name: "bare fastify",
  protocols: ["json", "binary"],
  path: V2_PATH,
  async start(workload, folder) {
    const at = await ports();
    const args = [
      join(ROOT, "test/bench/inference-bare.ts"),
      await modelFile(workload, folder),
      String(at.http),
    ];
    return launch({ command: process.execPath, args }, at, answers(at.http, V2_PATH, jsonBody(workload)));
  },
};

const bareGrpc: BenchServer = {
  name: "bare grpc-js",
  protocols: ["grpc"],
  path: V2_PATH,
  async start(workload, folder) {
    const at = await ports();
    const args = [join(ROOT, "test/bench/grpc-bare.ts"), await modelFile(workload, folder), String(at.grpc)];
    return launch({ command: process.execPath, args }, at, undefined);
  },
};

const mlserver: BenchServer = {
  name: "MLServer",
  protocols: ["json", "grpc"],
  path: V2_PATH,
  missing: absent("mlserver"),
  async start(workload, folder) {
    const home = join(folder, "mlserver");
    await mkdir(home, { recursive: true });
    const at = await ports();
    const settings = {
      host: "127.0.0.1",
      http_port: at.http,
      grpc_port: at.grpc,
      metrics_port: await freePort(),
      parallel_workers: 0,
      debug: false,
    };
    await writeFile(join(home, "settings.json"), JSON.stringify(settings));
    const model = {
      name: "bench",
      implementation: "model.OnnxModel",
      parameters: { uri: await modelFile(workload, folder) },
    };
    await writeFile(join(home, "model-settings.json"), JSON.stringify(model));
    const env = { PYTHONPATH: join(import.meta.dirname, "../peers/mlserver") };
    return launch(
      { command: venv("mlserver", "mlserver"), args: ["start", home], env },
      at,
      answers(at.http, V2_PATH, jsonBody(workload)),
    );
  },
};

const kserve: BenchServer = {
  name: "KServe",
  protocols: ["json", "binary", "grpc"],
  path: V2_PATH,
  missing: absent("kserve"),
  async start(workload, folder) {
    const at = await ports();
    const script = join(import.meta.dirname, "../peers/kserve/server.py");
    const args = [script, await modelFile(workload, folder), String(at.http), String(at.grpc)];
    return launch(
      { command: venv("kserve", "python"), args },
      at,
      answers(at.http, V2_PATH, jsonBody(workload)),
    );
  },
};

const bentoml: BenchServer = {
  name: "BentoML",
  protocols: ["nested"],
  path: "/infer",
  missing: absent("bentoml"),
  async start(workload, folder) {
    const at = await ports();
    const env = {
      BENCH_MODEL: await modelFile(workload, folder),
      BENTOML_DO_NOT_TRACK: "1",
      BENTOML_HOME: join(folder, "bentoml"),
    };
    const args = ["serve", "service:Bench", "--host", "127.0.0.1", "--port", String(at.http)];
    const cwd = join(import.meta.dirname, "../peers/bentoml");
    return launch(
      { command: venv("bentoml", "bentoml"), args, env, cwd },
      at,
      answers(at.http, "/infer", nestedBody(workload)),
    );
  },
};

function venv(peer: string, program: string): string {
  return join(PEERS, peer, "bin", program);
}

function absent(peer: string): string | undefined {
  return existsSync(venv(peer, "python"))
    ? undefined
    : `${peer} is not installed: run test/bench/peers/install.sh`;
}

/** Naru's two rows come after the bare handlers that they are compared with. */
export const SERVERS: readonly BenchServer[] = [
  bareHttp,
  bareGrpc,
  naru("Naru, batching off", { enabled: false }),
  naru("Naru", {}),
  mlserver,
  kserve,
  bentoml,
];
