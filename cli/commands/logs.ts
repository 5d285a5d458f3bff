import fs from "node:fs/promises";
import type { Command } from "commander";
import { NaruError } from "../../lib/errors.ts";
import type { KubeObject } from "../../operator/engine/objects.ts";
import { SERVING_LABEL } from "../../operator/model-serving/labels.ts";
import { followLog, logFileOf } from "../../operator/standalone/client.ts";
import { stateDirectory } from "../../operator/standalone/state.ts";
import { findOne, type TargetOptions } from "../find.ts";
import { chooseInstance } from "../instances.ts";
import { kindNamed, targetOf, usage } from "../kinds.ts";
import { addTargetOptions } from "../target-options.ts";

interface LogsOptions extends TargetOptions {
  readonly follow?: boolean;
  readonly container?: string;
  readonly tail: string;
}

interface Source {
  readonly label: string;
  readonly file: string;
}

export function addLogs(program: Command): void {
  addTargetOptions(
    program
      .command("logs")
      .argument("<name>", "name of a ModelServing, or pod/NAME")
      .option("-f, --follow", "go on, and print what is added")
      .option("-c, --container <name>", "of this container alone (server, router, fetch)")
      .option("--tail <lines>", "so many of the last lines of each container; -1: all", "-1")
      .summary("print what the pods of a resource have written")
      .description(
        "Prints the logs of all pods of a ModelServing, or of one pod; each line begins with its pod and container where there are several.",
      ),
  ).action(async (name: string, options: LogsOptions) => {
    if (!/^(-1|\d{1,9})$/.test(options.tail)) {
      throw usage(`--tail ${options.tail} is no number of lines`, "give a whole number, or -1 for all");
    }
    await logs(name, options);
  });
}

async function logs(word: string, options: LogsOptions): Promise<void> {
  const words = word.includes("/") ? [word] : ["modelserving", word];
  const { kind, name = "" } = targetOf(words, "modelservings");
  const { client, dir } = await chooseInstance(options.dir);
  const object = await findOne(client, kind, options.namespace, name);
  const pods =
    object.kind === "Pod"
      ? [object]
      : (await client.list({ ...kindOf("pod"), namespace: options.namespace })).filter(
          ({ metadata }) => metadata.labels?.[SERVING_LABEL] === name,
        );
  const sources = pods
    .flatMap((pod) => containersOf(pod).map((container) => sourceOf(dir, pod, container)))
    .filter(({ label }) => options.container === undefined || label.endsWith(`/${options.container}`));
  if (sources.length === 0) {
    throw new NaruError({
      code: "NotFound",
      message: `modelserving/${name} has no pod${options.container === undefined ? "" : ` with a container "${options.container}"`} now`,
      remedy: `naru describe ${name} says why; naru get pods lists what runs`,
      status: 404,
    });
  }
  const prefixed = sources.length > 1;
  const tail = Number(options.tail);
  const offsets = await Promise.all(sources.map((source) => printTail(source, tail, prefixed)));
  if (options.follow !== true) return;
  const interrupted = new AbortController();
  process.once("SIGINT", () => interrupted.abort());
  await Promise.all(
    sources.map((source, index) => printAdded(source, offsets[index] ?? 0, prefixed, interrupted.signal)),
  );
}

function kindOf(word: string) {
  const { apiVersion, kind } = kindNamed(word);
  return { apiVersion, kind };
}

function containersOf(pod: KubeObject): string[] {
  const spec = (pod.spec ?? {}) as Record<string, { name: string }[] | undefined>;
  return [...(spec.initContainers ?? []), ...(spec.containers ?? [])].map(({ name }) => name);
}

function sourceOf(dir: string, pod: KubeObject, container: string): Source {
  const { name, namespace = "default" } = pod.metadata;
  return {
    label: `${name}/${container}`,
    file: logFileOf(stateDirectory(dir), { namespace, name }, container),
  };
}

/** Prints what the log holds; answers its size in bytes. A container that has not begun has none. */
async function printTail({ label, file }: Source, tail: number, prefixed: boolean): Promise<number> {
  const text = await fs.readFile(file).catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return Buffer.alloc(0);
    throw error;
  });
  const lines = text.toString().split("\n");
  if (lines.at(-1) === "") lines.pop();
  for (const line of tail < 0 ? lines : lines.slice(Math.max(0, lines.length - tail))) {
    console.log(prefixed ? `[${label}] ${line}` : line);
  }
  return text.length;
}

async function printAdded(
  { label, file }: Source,
  offset: number,
  prefixed: boolean,
  signal: AbortSignal,
): Promise<void> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of followLog(file, offset, signal)) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) console.log(prefixed ? `[${label}] ${line}` : line);
  }
}
