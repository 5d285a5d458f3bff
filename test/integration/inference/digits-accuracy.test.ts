import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { serveModels, type TestServer } from "../../support/inference-server.ts";

/** README.md states how well the two example models read digits that no training saw; this is where it is measured. */
const ROOT = join(import.meta.dirname, "../../..");
const EXAMPLE = join(ROOT, "examples/digits");
const PIXELS = 64;
/** Values of a pixel in the data set: 0 to 16. */
const FULL = 16;

interface HeldOut {
  readonly pixels: Float32Array;
  readonly labels: readonly number[];
}

async function heldOut(): Promise<HeldOut> {
  const lines = (await readFile(join(EXAMPLE, "held-out/optdigits-held-out.csv"), "utf8")).trim().split("\n");
  const rows = lines.map((line) => line.split(",").map(Number));
  return {
    pixels: Float32Array.from(rows.flatMap((row) => row.slice(0, PIXELS).map((value) => value / FULL))),
    labels: rows.map((row) => row[PIXELS] ?? Number.NaN),
  };
}

/** `| version 1 | … | 0.933 |` of README's table. */
async function claimed(version: number): Promise<{ accuracy: string; images: string }> {
  const readme = await readFile(join(ROOT, "README.md"), "utf8");
  const row = new RegExp(
    `^\\|[^|]*v${version}\\.onnx[^|]*\\|[^|]*?(\\d+)[^|]*\\|\\s*(\\d\\.\\d{3})\\s*\\|$`,
    "m",
  ).exec(readme);
  return { images: row?.[1] ?? "", accuracy: row?.[2] ?? "" };
}

let served: TestServer;
let images: HeldOut;

beforeAll(async () => {
  images = await heldOut();
  served = await serveModels({
    v1: { bytes: await readFile(join(EXAMPLE, "models/v1.onnx")) },
    v2: { bytes: await readFile(join(EXAMPLE, "models/v2.onnx")) },
  });
});
afterAll(() => served?.[Symbol.asyncDispose]());

/** Share of the held-out images that the served model reads rightly, each sent alone. */
async function accuracy(model: string): Promise<number> {
  let right = 0;
  for (const [index, label] of images.labels.entries()) {
    const data = images.pixels.slice(index * PIXELS, (index + 1) * PIXELS);
    const request = { inputs: [{ name: "input", datatype: "FP32" as const, shape: [1, 1, 8, 8], data }] };
    const answer = await served.infer(model, request, { binary: true });
    const scores = [...(answer.outputs[0]?.data ?? [])].map(Number);
    if (scores.indexOf(Math.max(...scores)) === label) right += 1;
  }
  return right / images.labels.length;
}

test.each([1, 2])(
  "version %i of the digits reads as many held-out images rightly as README says",
  async (version) => {
    const readme = await claimed(version);
    expect(readme.images).toBe(String(images.labels.length));
    expect((await accuracy(`v${version}`)).toFixed(3)).toBe(readme.accuracy);
  },
);
