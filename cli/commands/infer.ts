import fs from "node:fs/promises";
import { buffer } from "node:stream/consumers";
import type { Command } from "commander";
import { messageOf, NaruError } from "../../lib/errors.ts";
import { findOne, type TargetOptions } from "../find.ts";
import { formatAnswer, type InferAnswer } from "../infer-answer.ts";
import { type HttpRequest, type ModelMetadata, requestOf } from "../infer-request.ts";
import { chooseInstance } from "../instances.ts";
import { kindNamed, usage } from "../kinds.ts";
import { localAddressOf } from "../local-address.ts";
import { conditionsOf } from "../progress.ts";
import { addTargetOptions } from "../target-options.ts";

interface InferOptions extends TargetOptions {
  readonly output?: string;
  readonly model?: string;
  readonly url?: string;
}

export function addInfer(program: Command): void {
  addTargetOptions(
    program
      .command("infer")
      .argument("<name>", "name of the ModelServing")
      .argument("<file>", "a PNG, a JPEG, or a V2 request in JSON; -: standard input")
      .option("-o, --output <format>", "json: the answer as it came")
      .option("-m, --model <name>", "name of the model, where the server calls it otherwise")
      .option("--url <url>", "address of a server elsewhere, such as http://digits.example")
      .summary("ask a model")
      .description(
        "Sends an image or a V2 request to a model and prints what it answers. An image is sent as the model's BYTES input, by the binary tensor extension.",
      ),
  ).action(async (name: string, file: string, options: InferOptions) => {
    if (options.output !== undefined && options.output !== "json") {
      throw usage(`-o ${options.output} is not known`, "use json, or leave it out");
    }
    const given = options.url === undefined ? undefined : serverAddress(options.url);
    const content = await readInput(file);
    const base = given ?? (await addressOf(name, options));
    const model = `${base}/v2/models/${encodeURIComponent(options.model ?? name)}`;
    const metadata = (await call(model)) as ModelMetadata;
    const answer = await call(`${model}/infer`, requestOf(content, file, metadata));
    console.log(
      options.output === "json" ? JSON.stringify(answer, null, 4) : formatAnswer(answer as InferAnswer),
    );
  });
}

/** @throws NaruError Usage */
function serverAddress(url: string): string {
  if (URL.canParse(url) && /^https?:$/.test(new URL(url).protocol)) return url.replace(/\/(v2\/?)?$/, "");
  throw usage(`--url ${url} is no address of a server`, "write it as http://digits.example");
}

async function readInput(file: string): Promise<Buffer> {
  try {
    // Not /dev/stdin: a socket, which many programs give to those that they start, can't be opened.
    return file === "-" ? await buffer(process.stdin) : await fs.readFile(file);
  } catch (error) {
    throw new NaruError({
      code: "NoSuchFile",
      message: messageOf(error),
      remedy: "give a PNG, a JPEG or a JSON file that is there",
      status: 404,
    });
  }
}

/** @throws NaruError NotFound, NotReady */
async function addressOf(name: string, { dir, namespace }: InferOptions): Promise<string> {
  const { client } = await chooseInstance(dir);
  const object = await findOne(client, kindNamed("modelserving"), namespace, name);
  const { http } = localAddressOf(object, (await client.info()).services);
  const ready = conditionsOf(object).find(({ type }) => type === "Ready");
  if (http !== undefined && ready?.status === "True") return http;
  throw new NaruError({
    code: "NotReady",
    message: `modelserving/${name} does not serve yet: ${ready?.message ?? "nothing was observed so far"}`,
    remedy: `wait for it with naru get -w; naru describe ${name} says what it waits for`,
    status: 503,
  });
}

const ANSWER_MS = 120_000;

/** @throws NaruError Refused, Unreachable */
async function call(url: string, sent?: HttpRequest): Promise<unknown> {
  const { request } = await import("undici");
  const answer = await request(url, {
    method: sent === undefined ? "GET" : "POST",
    ...(sent === undefined ? {} : { headers: sent.headers, body: sent.body }),
    signal: AbortSignal.timeout(ANSWER_MS),
  }).catch((error: unknown) => {
    throw new NaruError({
      code: "Unreachable",
      message: `${url}: ${messageOf(error)}`,
      remedy: "naru get shows where it serves",
      status: 503,
    });
  });
  const text = await answer.body.text();
  if (answer.statusCode === 200) return JSON.parse(text);
  throw new NaruError({
    code: "Refused",
    message: `the server answered ${answer.statusCode}: ${errorOf(text)}`,
    remedy: `compare the request with GET ${url.replace(/\/infer$/, "")}`,
    status: answer.statusCode,
  });
}

/** The protocol's `{"error": "…"}`, else what came, cut short. */
function errorOf(text: string): string {
  try {
    const value = JSON.parse(text) as { error?: unknown };
    if (typeof value.error === "string") return value.error;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  return text.slice(0, 500);
}
