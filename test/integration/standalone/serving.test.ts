import { cp, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { modelServing } from "../../../crds/model-serving.ts";
import type { KubeObject } from "../../../operator/engine/objects.ts";
import { startControllers } from "../../../operator/engine/start.ts";
import { modelServingKind } from "../../../operator/model-serving/kind.ts";
import { openRouterSigner } from "../../../operator/model-serving/router-signer.ts";
import { runningInstance } from "../../../operator/standalone/instance.ts";
import { RUNTIME_IMAGE } from "../../../operator/standalone/runtime-image.ts";
import { signingKeyFile } from "../../../operator/standalone/signing-keys.ts";
import { type Standalone, startStandalone } from "../../../operator/standalone/start.ts";
import { eventually } from "../../support/eventually.ts";
import { sha256Of } from "./digest.ts";

/** The operator's own decisions and Naru's own runtimes on this adapter: what `naru up` puts together. */
const examples = join(import.meta.dirname, "../../../examples/digits");
const ref = { apiVersion: "naru.dev/v1alpha1", kind: "ModelServing", namespace: "default", name: "digits" };
const problems: string[] = [];
const log = {
  debug: () => undefined,
  info: () => undefined,
  warn: (fields: object, message: string) => problems.push(`${message} ${JSON.stringify(fields)}`),
  error: (fields: object, message: string) => problems.push(`${message} ${JSON.stringify(fields)}`),
};

let dir: string;
let standalone: Standalone;
let engine: { stop(): Promise<void> };

async function write(version: 1 | 2): Promise<void> {
  const sha256 = await sha256Of(join(examples, `models/v${version}.onnx`));
  const text = [
    "apiVersion: naru.dev/v1alpha1",
    "kind: ModelServing",
    "metadata: { name: digits }",
    "spec:",
    `  model: { uri: "file://./models/v${version}.onnx", sha256: "${sha256}" }`,
    "  termination: { preStopSeconds: 1, drainSeconds: 2 }",
  ];
  await writeFile(join(dir, "digits.yaml"), `${text.join("\n")}\n`);
}

interface Status {
  observedGeneration?: number;
  revision?: string;
  conditions?: { type: string; status: string; reason: string; message: string }[];
}
const status = () => (standalone.cluster.get(ref)?.status ?? {}) as Status;
const holds = (type: string) => status().conditions?.find((one) => one.type === type)?.status === "True";
const url = () => {
  const address = standalone
    .addresses()
    .find(({ service, portName }) => service === "digits" && portName === "http");
  return `http://127.0.0.1:${address?.localPort}/v2/models/digits`;
};

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "naru-test-"));
  await cp(join(examples, "models"), join(dir, "models"), { recursive: true });
  await write(1);
  const schemas = new Map([["naru.dev/v1alpha1/ModelServing", modelServing]]);
  standalone = await startStandalone({
    dir,
    schemas,
    log: (level, message) => level === "info" || problems.push(message),
  });
  const signer = await openRouterSigner(signingKeyFile(join(dir, ".naru")));
  const kinds = [modelServingKind({ runtimeImage: RUNTIME_IMAGE, namespace: "default" }, signer)] as never;
  engine = await startControllers({ cluster: standalone.cluster, log, kinds });
});
afterAll(async () => {
  await engine?.stop();
  await standalone?.stop();
  await rm(dir, { recursive: true, force: true });
});

/** The ports that a pod's processes were given. */
function portsOf({ spec }: KubeObject): number[] {
  const { containers } = spec as { containers: { ports?: { containerPort: number }[] }[] };
  return containers.flatMap(({ ports = [] }) => ports.map(({ containerPort }) => containerPort));
}

function connected(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, host);
    socket.once("connect", () => resolve(true)).once("error", () => resolve(false));
    socket.once("connect", () => socket.destroy());
  });
}

describe("a ModelServing in a file", () => {
  test("serves its model, by digest, and says so in its status", async () => {
    await eventually("Ready", () => holds("Ready") && holds("RolloutComplete"), 30_000);
    const answer = await fetch(url());
    expect(await answer.json()).toMatchObject({ name: "digits", platform: "onnxruntime_onnx" });
    expect(await readFile(join(dir, ".naru/status/modelserving-digits.yaml"), "utf8")).toContain(
      "type: Ready",
    );
  });

  // All of 127.0.0.0/8 is this machine on Linux: what listens on every address would answer there.
  test.skipIf(process.platform !== "linux")("is reached from this machine alone", async () => {
    const pods = standalone.cluster.list({ apiVersion: "v1", kind: "Pod", namespace: "default" });
    const ports = [...standalone.addresses().map(({ localPort }) => localPort), ...pods.flatMap(portsOf)];
    expect(ports.length).toBeGreaterThan(3);
    for (const port of ports) {
      await expect(connected("127.0.0.1", port)).resolves.toBe(true);
      await expect(connected("127.0.0.2", port)).resolves.toBe(false);
    }
  });

  test("keeps its state, and the way to steer it, from other users of the machine", async () => {
    const state = join(dir, ".naru");
    const socket = runningInstance(state)?.socket ?? "";
    for (const folder of [state, dirname(socket)]) {
      expect((await stat(folder)).mode & 0o077, folder).toBe(0);
    }
  });

  test("edited under load, it rolls to the new model in place and loses no request", async () => {
    const before = status().revision;
    const [line = ""] = (await readFile(join(examples, "held-out/optdigits-held-out.csv"), "utf8")).split(
      "\n",
    );
    const data = line
      .split(",")
      .slice(0, 64)
      .map((level) => Number(level) / 16);
    const body = JSON.stringify({ inputs: [{ name: "input", datatype: "FP32", shape: [1, 1, 8, 8], data }] });
    const failed: unknown[] = [];
    let [answered, loading] = [0, true];
    const clients = Array.from({ length: 4 }, async () => {
      while (loading) {
        try {
          const answer = await fetch(`${url()}/infer`, { method: "POST", body });
          if (answer.ok) answered += 1;
          else failed.push(answer.status);
          await answer.text();
        } catch (error) {
          failed.push(error);
        }
      }
    });
    await eventually("load", () => answered > 50 || failed.length > 0);
    await write(2);
    await eventually(
      "rolled out",
      () => status().observedGeneration === 2 && holds("RolloutComplete") && status().revision !== before,
      30_000,
    );
    const rolled = answered;
    await eventually("load on the new model", () => answered > rolled + 50);
    loading = false;
    await Promise.all(clients);
    expect(failed).toEqual([]);
  });

  test("whose digest is another's says so, and goes on serving what it served", async () => {
    const text = await readFile(join(dir, "digits.yaml"), "utf8");
    await writeFile(join(dir, "digits.yaml"), text.replace(/sha256: "\w+"/, `sha256: "${"0".repeat(64)}"`));
    const condition = await eventually(
      "told",
      () =>
        status().conditions?.find(
          (one) => one.status !== "True" && /digest|0{64}/i.test(`${one.reason} ${one.message}`),
        ),
      30_000,
    );
    expect(condition.status).not.toBe("True");
    expect((await fetch(`${url()}/ready`)).status).toBe(200);
  });

  test("nothing went wrong that its status did not tell of", () => {
    // Another naru up on this machine may serve a model of the same name.
    expect(problems.filter((line) => !/^port \d+ of service digits is taken/.test(line))).toEqual([]);
  });
});
