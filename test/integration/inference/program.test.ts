import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { Agent, request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { eventually } from "../../support/eventually.ts";
import { gemmModel, smallCnnModel } from "../../support/onnx-models.ts";
import { writeOnnx } from "../../support/onnx-writer.ts";

let directory: string;
let child: ChildProcess | undefined;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "naru-inference-"));
  await mkdir(join(directory, "models"));
});
afterEach(async () => {
  child?.kill("SIGKILL");
  await rm(directory, { recursive: true, force: true });
});

/** Starts `runtimes/main.ts inference` as a container does. */
async function start(models: Readonly<Record<string, Uint8Array | string>>, settings: object = {}) {
  for (const [name, bytes] of Object.entries(models))
    await writeFile(join(directory, "models", `${name}.onnx`), bytes);
  const config = { ...settings, models: Object.keys(models).map((name) => ({ name, path: `${name}.onnx` })) };
  await writeFile(join(directory, "inference.json"), JSON.stringify(config));
  const program = spawn(
    process.execPath,
    [join(import.meta.dirname, "../../../runtimes/main.ts"), "inference"],
    {
      env: {
        ...process.env,
        NARU_CONFIG_DIR: directory,
        NARU_MODELS_DIR: join(directory, "models"),
        NARU_TERMINATION_LOG: join(directory, "termination"),
        NARU_LISTEN_HOST: "127.0.0.1",
        NARU_HTTP_PORT: "0",
        NARU_GRPC_PORT: "0",
        NARU_ADMIN_PORT: "0",
      },
      stdio: ["ignore", "pipe", "inherit"],
    },
  );
  child = program;
  let output = "";
  program.stdout.on("data", (chunk) => {
    output += chunk;
  });
  const exit = once(program, "exit");
  const ports = () =>
    eventually("its ports", () => {
      const line = output.split("\n").find((text) => text.includes('"msg":"listening"'));
      return line === undefined ? undefined : (JSON.parse(line) as { http: number; admin: number });
    });
  return { program, exit, ports, output: () => output };
}

const termination = async () => JSON.parse(await readFile(join(directory, "termination"), "utf8"));
const status = async (port: number, path: string) => (await fetch(`http://127.0.0.1:${port}${path}`)).status;

test.each<[string, Uint8Array | string, string, RegExp]>([
  ["a file that is no model", "<html>", "InvalidModel", /not an ONNX model/],
  [
    "a model of BF16 inputs",
    writeOnnx({
      inputs: [{ name: "activations", type: "BF16", shape: [1] }],
      outputs: [{ name: "y", type: "FP32", shape: [1] }],
      nodes: [{ op: "Cast", inputs: ["activations"], outputs: ["y"], ints: { to: 1 } }],
    }),
    "UnsupportedTensor",
    /"activations".*BF16/,
  ],
])("%s ends the program with its reason as the last word", async (_name, bytes, code, message) => {
  const { exit } = await start({ m: bytes });
  expect(await exit).toEqual([1, null]);
  const word = await termination();
  expect(word.code).toBe(code);
  expect(word.message).toMatch(message);
  expect(word.remedy).not.toBe("");
});

test("configuration that is wrong is named by its field", async () => {
  const { exit } = await start({ m: smallCnnModel() }, { modelControl: "Maybe" });
  expect(await exit).toEqual([1, null]);
  expect(await termination()).toMatchObject({
    code: "InvalidConfig",
    message: expect.stringContaining("modelControl"),
  });
});

test("it lives while models load, is ready afterwards, and in a drain finishes what it has begun", async () => {
  const { program, exit, ports } = await start(
    { slow: gemmModel([64, 1024, 1024, 8]) },
    { http: { drainSeconds: 2 } },
  );
  const { http, admin } = await ports();
  expect(await status(admin, "/livez")).toBe(200);
  await eventually("ready", async () => (await status(admin, "/readyz")) === 200);
  expect(await status(admin, "/startupz")).toBe(200);
  expect(await status(http, "/v2/health/ready")).toBe(200);
  expect(await (await fetch(`http://127.0.0.1:${admin}/metrics`)).text()).toMatch(
    /process_resident_memory_bytes/,
  );

  const agent = new Agent({ keepAlive: true });
  const rows = 8000;
  const body = Buffer.from(
    JSON.stringify({
      inputs: [{ name: "input", datatype: "FP32", shape: [rows, 64], data: new Array(rows * 64).fill(0) }],
    }),
  );
  const answered = new Promise<{ status: number | undefined; connection: string | undefined }>(
    (resolve, reject) => {
      const sent = request(
        { port: http, host: "127.0.0.1", path: "/v2/models/slow/infer", method: "POST", agent },
        (answer) => {
          answer.resume();
          answer.on("end", () =>
            resolve({ status: answer.statusCode, connection: answer.headers.connection }),
          );
        },
      );
      sent.on("error", reject);
      sent.end(body);
    },
  );
  const pending = async () => (await fetch(`http://127.0.0.1:${admin}/metrics`)).text();
  await eventually("the request runs", async () => /pending_request_count\{[^}]*\} 1/.test(await pending()));
  program.kill("SIGTERM");
  await eventually("not ready", async () => (await status(admin, "/readyz")) === 503);
  expect(await status(admin, "/livez")).toBe(200);
  expect(await answered).toEqual({ status: 200, connection: "close" });
  agent.destroy();
  expect(await exit).toEqual([0, null]);
});

test("no log line holds what a request held", async () => {
  const { ports, output } = await start({ cnn: smallCnnModel() });
  const { http, admin } = await ports();
  await eventually("ready", async () => (await status(admin, "/readyz")) === 200);
  const ask = (body: unknown) =>
    fetch(`http://127.0.0.1:${http}/v2/models/cnn/infer`, { method: "POST", body: JSON.stringify(body) });
  await ask({ inputs: [{ name: "image", datatype: "BYTES", shape: [1], data: ["900101-1234567"] }] });
  await ask({
    id: "900101-1234567",
    inputs: [{ name: "image", datatype: "FP32", shape: [1, 1, 8, 8], data: new Array(64).fill(8765.4321) }],
  });
  expect(output()).not.toMatch(/900101|8765/);
});
