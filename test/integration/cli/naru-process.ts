import { type ChildProcess, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";

const main = fileURLToPath(new URL("../../../cli/main.ts", import.meta.url));
const guard = new URL("../../../operator/standalone/guard.ts", import.meta.url).href;
const noClient = new URL("../../support/no-kubernetes-client.ts", import.meta.url).href;
const examples = fileURLToPath(new URL("../../../examples/digits/", import.meta.url));

export const heldOut = path.join(examples, "held-out");

export interface Answer {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** One whole command, as a user's shell runs it. */
export function naru(...args: string[]): Promise<Answer> {
  return naruWith({}, ...args);
}

/** The same in another folder, or with other environment variables. */
export function naruWith(
  { cwd, env }: { cwd?: string; env?: NodeJS.ProcessEnv },
  ...args: string[]
): Promise<Answer> {
  return ended(spawn(process.execPath, [main, ...args], { cwd, env: { ...process.env, ...env } }));
}

/** The same with these bytes on standard input, which is a socket. */
export function naruReading(input: Uint8Array, ...args: string[]): Promise<Answer> {
  const child = spawn(process.execPath, [main, ...args]);
  child.stdin.end(input);
  return ended(child);
}

/** The same with standard output to this file. */
export function naruTo(fd: number, ...args: string[]): Promise<Answer> {
  return ended(spawn(process.execPath, [main, ...args], { stdio: ["pipe", fd, "pipe"] }));
}

async function ended(child: ChildProcess): Promise<Answer> {
  const written = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const) {
    child[name]?.setEncoding("utf8").on("data", (text: string) => {
      written[name] += text;
    });
  }
  const timer = setTimeout(() => child.kill("SIGKILL"), 30_000);
  const [code] = (await once(child, "close")) as [number | null];
  clearTimeout(timer);
  return { code: code ?? -1, ...written };
}

/** `naru up` of a folder. */
export class Up {
  readonly dir: string;
  readonly #child: ChildProcess;
  #output = "";

  constructor(dir: string) {
    this.dir = dir;
    // Its standard input is a pipe of ours: should the tests be killed, it drains instead of going on for ever.
    this.#child = spawn(process.execPath, ["--import", guard, "--import", noClient, main, "up", dir], {
      stdio: ["pipe", "pipe", "pipe"],
    });
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.on("data", (chunk: Buffer) => {
        this.#output += chunk.toString();
      });
    }
  }

  get output(): string {
    return this.#output;
  }

  /** What it prints, once it does. @throws Error when it ends first, or after `milliseconds` */
  async printed(pattern: RegExp, milliseconds = 30_000): Promise<RegExpExecArray> {
    const deadline = performance.now() + milliseconds;
    for (;;) {
      const found = pattern.exec(this.#output);
      if (found !== null) return found;
      if (this.#child.exitCode !== null || performance.now() > deadline) {
        throw new Error(`naru up did not print ${pattern} but:\n${this.#output}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  /** Ctrl-C; answers the exit code. */
  async interrupt(): Promise<number | null> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      const exited = once(this.#child, "exit");
      this.#child.kill("SIGINT");
      await exited;
    }
    return this.#child.exitCode;
  }

  /** Resolves when it ends by itself; answers the exit code. */
  async ended(): Promise<number | null> {
    if (this.#child.exitCode === null) await once(this.#child, "exit");
    return this.#child.exitCode;
  }
}

/** A folder that is removed by the caller, with a ModelServing whose model is `bytes`. */
export async function folderWith(
  yaml: (model: { uri: string; sha256: string }) => string,
  bytes?: Buffer,
): Promise<string> {
  const dir = await fs.mkdtemp(path.join(os.tmpdir(), "naru-cli-test-"));
  await fs.writeFile(path.join(dir, "model.onnx"), bytes ?? (await exampleModel("v1")));
  await fs.writeFile(path.join(dir, "digits.yaml"), yaml(await modelOf(path.join(dir, "model.onnx"))));
  return dir;
}

export function exampleModel(name: "v1" | "v2"): Promise<Buffer> {
  return fs.readFile(path.join(examples, "models", `${name}.onnx`));
}

export async function modelOf(file: string): Promise<{ uri: string; sha256: string }> {
  const sha256 = createHash("sha256")
    .update(await fs.readFile(file))
    .digest("hex");
  return { uri: `file://./${path.basename(file)}`, sha256 };
}

/** The example's resource, with one pod and a short end. */
export function digitsYaml(model: { uri: string; sha256: string }, more = ""): string {
  return `apiVersion: naru.dev/v1alpha1
kind: ModelServing
metadata: { name: digits }
spec:
  model:
    uri: ${model.uri}
    sha256: ${model.sha256}
  replicas: 1
  termination: { preStopSeconds: 0, drainSeconds: 1 }
${more}  server:
    preprocess:
      - decodeImage: { input: image, output: pixels, color: Grayscale }
      - resize: { tensor: pixels, width: 8, height: 8 }
      - normalize: { input: pixels, output: input, scale: "0.00392156862745098" }
    postprocess:
      - softmax: { input: scores, output: probabilities }
      - topK: { input: probabilities, scores: confidence, indices: digit, k: 1 }
`;
}
