import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { encodeInferRequest } from "../../../lib/v2/infer-request.ts";
import { decodeInferResponse } from "../../../lib/v2/infer-response.ts";
import type { Tensor } from "../../../lib/v2/types.ts";
import { grpcClient, inferGrpc } from "./grpc-client.ts";
import {
  accuracyOf,
  bodyOf,
  conditionOf,
  type Digit,
  digitsModel,
  heldOut,
  infer,
  isReady,
  portOf,
  type Stand,
  startStand,
} from "./stand.ts";

/** examples/cascade as a user serves it: v1 first, and v2 on the same image where v1 is not sure. */
const NAME = "digits-cascade";
/** What the example's condition says. */
const SURE = 0.8;
const EXAMPLE = join(import.meta.dirname, "../../../examples/cascade");
let stand: Stand;
let address: string;

/** The server that holds both models, behind the router. */
async function modelsAddress(): Promise<string> {
  const [pod] = await stand.pods(NAME, "inference");
  if (pod === undefined) throw new Error("no inference pod");
  return portOf(pod, "http");
}

/** What a model answers of itself, without the graph: probabilities, ten a row. */
async function alone(model: string, digits: readonly Digit[]): Promise<number[]> {
  return probabilitiesOf(await infer(await modelsAddress(), model, bodyOf(digits)));
}

/** How many requests a model has answered. */
async function answeredBy(model: string): Promise<number> {
  const answer = await fetch(`http://${await modelsAddress()}/v2/models/${model}/stats`);
  const { model_stats } = (await answer.json()) as {
    model_stats: { inference_stats: { success: { count: number } } }[];
  };
  return model_stats[0]?.inference_stats.success.count ?? Number.NaN;
}

async function probabilitiesOf(answer: Response): Promise<number[]> {
  const body = await answer.text();
  expect(answer.status, body).toBe(200);
  const { outputs } = JSON.parse(body) as { outputs: { name: string; data: number[] }[] };
  return outputs.find(({ name }) => name === "probabilities")?.data ?? [];
}

function rowOf(flat: readonly number[], row: number): readonly number[] {
  return flat.slice(row * 10, row * 10 + 10);
}

function expectClose(found: ArrayLike<number>, wanted: readonly number[]): void {
  expect(found.length).toBe(wanted.length);
  for (const [i, value] of wanted.entries()) expect(found[i]).toBeCloseTo(value, 4);
}

/** Images of both kinds, each with what the cascade must answer; none so near the bound that rounding decides. */
async function expectations(): Promise<{ digit: Digit; sure: boolean; wanted: readonly number[] }[]> {
  const [v1, v2] = [await alone("v1", heldOut), await alone("v2", heldOut)];
  return heldOut.flatMap((digit, row) => {
    const confidence = Math.max(...rowOf(v1, row));
    const sure = confidence >= SURE;
    return Math.abs(confidence - SURE) < 1e-3 ? [] : [{ digit, sure, wanted: rowOf(sure ? v1 : v2, row) }];
  });
}

beforeAll(async () => {
  stand = await startStand("cascade", "digits");
  await stand.settled(NAME, isReady, "Ready");
  address = await stand.address(NAME, "http");
});
afterAll(() => stand?.stop());

describe("examples/cascade by naru up", () => {
  test("v1 answers where it is sure, v2 on the same image where it is not: REST, binary and gRPC", async () => {
    const all = await expectations();
    const some = [true, false].flatMap((sure) => all.filter((one) => one.sure === sure).slice(0, 10));
    expect(some).toHaveLength(20);
    const client = grpcClient(await stand.address(NAME, "grpc"));
    try {
      for (const { digit, wanted } of some) {
        expectClose(await probabilitiesOf(await infer(address, NAME, bodyOf([digit]))), wanted);
        expectClose(probabilities(await inferBinary(digit)), wanted);
        expectClose(probabilities((await inferGrpc(client, NAME, [digit])).outputs), wanted);
      }
    } finally {
      client.close();
    }
  });

  test("reaches v2's accuracy within a percent, and asks v2 for fewer than half of the images", async () => {
    const [v1, v2] = [await alone("v1", heldOut), await alone("v2", heldOut)];
    const [before1, before2] = [await answeredBy("v1"), await answeredBy("v2")];
    const answers: number[] = [];
    for (const digit of heldOut) {
      answers.push(...(await probabilitiesOf(await infer(address, NAME, bodyOf([digit])))));
    }
    expect((await answeredBy("v1")) - before1).toBe(heldOut.length);
    const asked = ((await answeredBy("v2")) - before2) / heldOut.length;
    const [one, two, both] = [v1, v2, answers].map((scores) => accuracyOf(scores, heldOut));
    console.log(
      `${heldOut.length} images: v1 alone ${percent(one)} right, v2 alone ${percent(two)}, the cascade ${percent(both)}, with v2 asked for ${percent(asked)} of them`,
    );
    expect(both).toBeGreaterThan((two ?? 1) - 0.01);
    expect(both).toBeGreaterThan((one ?? 1) + 0.02);
    expect(asked).toBeGreaterThan(0);
    expect(asked).toBeLessThan(0.5);
  });

  test("the image beside the example is one that v1 alone gets wrong", async () => {
    const body = readFileSync(join(EXAMPLE, "requests/unsure-9.json"), "utf8");
    const digitFrom = async (server: string, model: string) => {
      const answer = (await (await infer(server, model, body)).json()) as {
        outputs: { name: string; data: number[] }[];
      };
      return answer.outputs.find(({ name }) => name === "digit")?.data;
    };
    expect(await digitFrom(address, NAME)).toEqual([9]);
    expect(await digitFrom(await modelsAddress(), "v1")).toEqual([7]);
  });

  test("a tensor of the request that its node takes otherwise, or a name given twice: InvalidGraph with the edge", async () => {
    const node = (name: string, more: object = {}) => {
      const { uri, sha256 } = digitsModel(name);
      return { name, model: { uri: uri.replace("./", "../digits/"), sha256 }, ...more };
    };
    const preprocess = [
      { decodeImage: { input: "image", output: "pixels", color: "Grayscale" } },
      { resize: { tensor: "pixels", width: 8, height: 8 } },
      { normalize: { input: "pixels", output: "input", scale: "0.003921568627451" } },
    ];
    const spec = (tensors: object[]) => ({
      graph: {
        entry: "v1",
        nodes: [node("v1", { preprocess }), node("v2")],
        edges: [{ from: "v1", to: "v2", tensors }],
      },
      traffic: { routerReplicas: 1 },
      termination: { preStopSeconds: 0, drainSeconds: 1 },
    });
    const image = { from: "image", to: "input", source: "Request" };
    await stand.apply("misfit", spec([image]));
    await stand.apply("twice", spec([image, { ...image, from: "other" }]));
    const refused = async (name: string) => {
      const status = await stand.settled(
        name,
        (now) => conditionOf(now, "Ready")?.reason === "InvalidGraph",
        "InvalidGraph",
      );
      expect(conditionOf(status, "Ready")?.status).toBe("False");
      return conditionOf(status, "Ready")?.message;
    };
    const [misfit, twice] = await Promise.all([refused("misfit"), refused("twice")]);
    expect(misfit).toContain('edge v1 -> v2: the request\'s tensor "image" arrives as BYTES');
    expect(twice).toContain("the edge v1 -> v2 names two of the request's tensors");
  });
});

function probabilities(outputs: readonly Tensor[]): Float32Array {
  return outputs.find(({ name }) => name === "probabilities")?.data as Float32Array;
}

async function inferBinary({ pixels }: Digit): Promise<readonly Tensor[]> {
  const data = Float32Array.from(pixels);
  const { body, headerLength } = encodeInferRequest(
    {
      inputs: [{ name: "input", datatype: "FP32", shape: [1, 1, 8, 8], data }],
      outputs: [],
      parameters: { binary_data_output: true },
    },
    { binary: true },
  );
  const answer = await fetch(`http://${address}/v2/models/${NAME}/infer`, {
    method: "POST",
    headers: { "inference-header-content-length": String(headerLength) },
    body: Buffer.from(body),
  });
  expect(answer.status).toBe(200);
  const length = answer.headers.get("inference-header-content-length");
  expect(length).not.toBeNull();
  return decodeInferResponse(Buffer.from(await answer.arrayBuffer()), Number(length)).outputs;
}

function percent(share: number | undefined): string {
  return `${((share ?? Number.NaN) * 100).toFixed(1)} %`;
}
