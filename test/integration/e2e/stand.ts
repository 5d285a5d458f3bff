import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { cp, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { stringify } from "yaml";
import type { ModelServingStatus } from "../../../crds/model-serving.ts";
import { type RouterReport, routerReport } from "../../../lib/config/router.ts";
import type { KubeObject } from "../../../operator/engine/objects.ts";
import { openStandalone, type StandaloneClient } from "../../../operator/standalone/client.ts";
import { eventually } from "../../support/eventually.ts";
import { Up } from "../cli/naru-process.ts";

const EXAMPLES = join(import.meta.dirname, "../../../examples");
const KIND = { apiVersion: "naru.dev/v1alpha1", kind: "ModelServing" };
const SETTLE_MILLISECONDS = 120_000;

/** A `naru up` of its own process over a copy of an example, driven by files and watched from outside. */
export interface Stand {
  readonly dir: string;
  readonly up: Up;
  readonly client: StandaloneClient;
  /** Writes a resource's file, as a user's editor does. */
  apply(name: string, spec: object): Promise<void>;
  status(name: string): Promise<ModelServingStatus | undefined>;
  /** Waits until `holds` says so of the status; the failure shows the last one. */
  settled(
    name: string,
    holds: (status: ModelServingStatus) => boolean,
    what: string,
  ): Promise<ModelServingStatus>;
  /** `host:port` of a Service's port on this machine. */
  address(service: string, port: "http" | "grpc"): Promise<string>;
  pods(name: string, role: "inference" | "router"): Promise<readonly KubeObject[]>;
  /** Sets the annotation that `naru promote|abort|…` sets. */
  act(name: string, verb: string, revision: string): Promise<void>;
  /** Ends `naru up` and starts it over the same folder; what came before is not to be used any more. */
  again(): Promise<Stand>;
  stop(): Promise<void>;
}

/** Copies folders of `examples/` next to each other and starts `naru up` in the first. */
export async function startStand(first: string, ...others: string[]): Promise<Stand> {
  const root = await mkdtemp(join(tmpdir(), "naru-e2e-"));
  const filter = (path: string) => basename(path) !== ".naru";
  for (const folder of [first, ...others])
    await cp(join(EXAMPLES, folder), join(root, folder), { recursive: true, filter });
  return standIn(root, join(root, first));
}

/** Starts `naru up` over one resource and the digits models; further resources come by `apply`. */
export async function standOf(name: string, spec: object): Promise<Stand> {
  const root = await mkdtemp(join(tmpdir(), "naru-e2e-"));
  await cp(join(EXAMPLES, "digits/models"), join(root, "models"), { recursive: true });
  await write(root, name, spec);
  return standIn(root, root);
}

async function standIn(root: string, dir: string): Promise<Stand> {
  const up = new Up(dir);
  await eventually("naru up to take the folder", () => openStandalone(dir).running, SETTLE_MILLISECONDS);
  const client = openStandalone(dir);
  await eventually("naru up to answer", async () => (await client.info()) !== undefined, SETTLE_MILLISECONDS);
  const status = async (name: string) => {
    const [found] = await client.list({ ...KIND, name });
    return found?.status as ModelServingStatus | undefined;
  };
  return {
    dir,
    up,
    client,
    status,
    apply: (name, spec) => write(dir, name, spec),
    async settled(name, holds, what) {
      let last: ModelServingStatus | undefined;
      const look = async () => {
        last = await status(name);
        return last !== undefined && holds(last) ? last : undefined;
      };
      try {
        return await eventually(what, look, SETTLE_MILLISECONDS);
      } catch (cause) {
        throw new Error(
          `${name}: not ${what}:\n${JSON.stringify(last, null, 1)}\n${up.output.slice(-2000)}`,
          {
            cause,
          },
        );
      }
    },
    async address(service, port) {
      const { services } = await client.info();
      const found = services.find((one) => one.service === service && one.portName === port);
      if (found === undefined) throw new Error(`the Service ${service} has no port ${port}`);
      return `127.0.0.1:${found.localPort}`;
    },
    async pods(name, role) {
      const pods = await client.list({ apiVersion: "v1", kind: "Pod" });
      return pods.filter(
        ({ metadata: { labels, deletionTimestamp } }) =>
          labels?.["naru.dev/model-serving"] === name &&
          labels?.["naru.dev/role"] === role &&
          deletionTimestamp === undefined,
      );
    },
    async act(name, verb, revision) {
      const annotations = { "naru.dev/action": `${verb} ${revision} ${Date.now()}` };
      await client.annotate({ ...KIND, namespace: "default", name }, annotations);
    },
    async again() {
      await up.interrupt();
      return standIn(root, dir);
    },
    async stop() {
      await up.interrupt();
      await rm(root, { recursive: true, force: true });
    },
  };
}

async function write(dir: string, name: string, spec: object): Promise<void> {
  await writeFile(join(dir, `${name}.yaml`), stringify({ ...KIND, metadata: { name }, spec }));
}

/** A committed digits model, by digest. */
export function digitsModel(version: string): { uri: string; sha256: string } {
  const file = readFileSync(join(EXAMPLES, `digits/models/${version}.onnx`));
  return {
    uri: `file://./models/${version}.onnx`,
    sha256: createHash("sha256").update(file).digest("hex"),
  };
}

export function conditionOf(status: ModelServingStatus, type: string) {
  return status.conditions?.find((one) => one.type === type);
}

export const isReady = (status: ModelServingStatus) => conditionOf(status, "Ready")?.status === "True";

/** Where a pod's port of a name is on this machine. */
export function portOf(pod: KubeObject, name: string): string {
  const { containers } = pod.spec as { containers: { ports?: { name: string; containerPort: number }[] }[] };
  const port = containers.flatMap(({ ports }) => ports ?? []).find((one) => one.name === name);
  return `127.0.0.1:${port?.containerPort}`;
}

/** What a router says of itself. */
export async function reportOf(router: KubeObject): Promise<RouterReport> {
  const answer = await fetch(`http://${portOf(router, "admin")}/naru/status`);
  return routerReport.parse(await answer.json());
}

export interface Digit {
  /** 64 pixels, 0 to 1. */
  readonly pixels: readonly number[];
  readonly label: number;
}

/** The held-out images. */
export const heldOut: readonly Digit[] = readFileSync(
  join(EXAMPLES, "digits/held-out/optdigits-held-out.csv"),
  "utf8",
)
  .trim()
  .split("\n")
  .map((line) => line.split(",").map(Number))
  .map((row) => ({ pixels: row.slice(0, 64).map((pixel) => pixel / 16), label: row[64] ?? -1 }));

/** The V2 JSON body of some images. */
export function bodyOf(digits: readonly Digit[], more: object = {}): string {
  const data = digits.flatMap(({ pixels }) => pixels);
  const input = { name: "input", datatype: "FP32", shape: [digits.length, 1, 8, 8], data };
  return JSON.stringify({ inputs: [input], ...more });
}

export async function infer(address: string, model: string, body: string): Promise<Response> {
  return fetch(`http://${address}/v2/models/${model}/infer`, { method: "POST", body });
}

/** Share of rows of ten scores whose highest is the label. */
export function accuracyOf(scores: ArrayLike<number>, digits: readonly Digit[]): number {
  const right = digits.filter(({ label }, row) => {
    const ten = Array.from({ length: 10 }, (_, column) => scores[row * 10 + column] ?? Number.NaN);
    return ten.indexOf(Math.max(...ten)) === label;
  });
  return right.length / digits.length;
}
