import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Tensor } from "../../../lib/v2/types.ts";
import { serveModels, type TestServer } from "../../support/inference-server.ts";
import { smallCnnModel } from "../../support/onnx-models.ts";

let served: TestServer;

beforeAll(async () => {
  served = await serveModels({
    digits: {
      bytes: smallCnnModel(),
      settings: {
        preprocess: [
          { decodeImage: { input: "png", output: "pixels", color: "Grayscale" } },
          { resize: { tensor: "pixels", width: 8, height: 8 } },
          { normalize: { input: "pixels", output: "image", scale: 1 / 255, layout: "NCHW" } },
        ],
        postprocess: [
          { softmax: { input: "scores", output: "probabilities" } },
          { topK: { input: "probabilities", scores: "best", indices: "classes", k: 2 } },
          {
            labels: {
              input: "classes",
              output: "names",
              values: ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"],
            },
          },
        ],
      },
    },
  });
});
afterAll(() => served?.[Symbol.asyncDispose]());

const pixels = Uint8Array.from({ length: 64 }, (_, i) => (i * 37) % 256);
const direct: Tensor = {
  name: "image",
  datatype: "FP32",
  shape: [1, 1, 8, 8],
  data: Float32Array.from(pixels, (pixel) => pixel / 255),
};
const png = async (): Promise<Tensor> => ({
  name: "png",
  datatype: "BYTES",
  shape: [1],
  data: [
    await sharp(pixels, { raw: { width: 8, height: 8, channels: 1 } })
      .png()
      .toBuffer(),
  ],
});

describe("a model with steps", () => {
  test("answers an image file as it answers the tensor that the steps make of it", async () => {
    const [fromFile, fromTensor] = await Promise.all([
      served.infer("digits", { inputs: [await png()] }, { binary: true }),
      served.infer("digits", { inputs: [direct] }),
    ]);
    const byName = ({ outputs }: { outputs: readonly Tensor[] }) =>
      new Map(outputs.map((output) => [output.name, output]));
    const [a, b] = [byName(fromFile), byName(fromTensor)];
    expect([...a.keys()].sort()).toEqual(["best", "classes", "names", "probabilities", "scores"]);
    expect(a.get("classes")).toEqual(b.get("classes"));
    expect(a.get("names")).toEqual(b.get("names"));
    for (const [at, value] of (a.get("scores")?.data ?? []).entries()) {
      expect(Number(value)).toBeCloseTo(Number(b.get("scores")?.data[at]), 4);
    }
    const probabilities = a.get("probabilities")?.data ?? [];
    let sum = 0;
    for (const value of probabilities) sum += Number(value);
    expect(sum).toBeCloseTo(1, 5);
  });

  test("gives only what was asked for, a step's output or the model's", async () => {
    const { outputs } = await served.infer("digits", {
      inputs: [direct],
      outputs: [{ name: "names" }, { name: "scores" }],
    });
    expect(outputs.map(({ name }) => name)).toEqual(["names", "scores"]);
  });

  test("names in its metadata what a request may carry and what an answer holds", async () => {
    const metadata = await (await fetch(`${served.url}/v2/models/digits`)).json();
    expect(metadata).toMatchObject({
      inputs: [{ name: "png", datatype: "BYTES" }],
      outputs: expect.arrayContaining([{ name: "scores", datatype: "FP32", shape: [-1, 10] }]),
    });
  });

  test("refuses what is no image, and a tensor that nobody knows, as the client's mistakes", async () => {
    const broken: Tensor = { name: "png", datatype: "BYTES", shape: [1], data: [Buffer.from("no image")] };
    await expect(served.infer("digits", { inputs: [broken] })).rejects.toThrow(/^400/);
    await expect(served.infer("digits", { inputs: [direct, { ...direct, name: "other" }] })).rejects.toThrow(
      /^400/,
    );
  });
});
