import sharp from "sharp";
import { describe, expect, test } from "vitest";
import type { InferenceStep } from "../../../../lib/config/inference.ts";
import type { Tensor, TensorMetadata } from "../../../../lib/v2/types.ts";
import { compileSteps, type StepFiles } from "../../../../runtimes/inference/steps/compile.ts";
import {
  answerOutputs,
  consumedNames,
  requestInputs,
} from "../../../../runtimes/inference/steps/metadata.ts";

const noFiles: StepFiles = { readText: async (name) => Promise.reject(new Error(`no file ${name}`)) };

/** The digits example's. */
const before: InferenceStep[] = [
  { decodeImage: { input: "image", output: "pixels", color: "Grayscale" } },
  { resize: { tensor: "pixels", width: 8, height: 8 } },
  { normalize: { input: "pixels", output: "input", scale: 1 / 255 } },
];
const after: InferenceStep[] = [
  { softmax: { input: "scores", output: "probabilities" } },
  { topK: { input: "probabilities", scores: "confidence", indices: "digit", k: 1 } },
];
const modelInputs: TensorMetadata[] = [{ name: "input", datatype: "FP32", shape: [-1, 1, 8, 8] }];
const modelOutputs: TensorMetadata[] = [{ name: "scores", datatype: "FP32", shape: [-1, 10] }];

async function whitePng(side: number): Promise<Buffer> {
  return sharp({ create: { width: side, height: side, channels: 3, background: "white" } })
    .png()
    .toBuffer();
}

describe("preprocessing", () => {
  test("two image files of different sizes become the model's input", async () => {
    const { run } = await compileSteps(before, noFiles);
    const image: Tensor = {
      name: "image",
      datatype: "BYTES",
      shape: [2],
      data: [await whitePng(32), await whitePng(5)],
    };
    const made = await run([image]);
    expect(made.map(({ name }) => name)).toEqual(["image", "pixels", "input"]);
    expect(made.slice(2)).toEqual([
      { name: "input", datatype: "FP32", shape: [2, 1, 8, 8], data: new Float32Array(128).fill(1) },
    ]);
  });
  test("a request may carry what a step would have made", async () => {
    const { run } = await compileSteps(before, noFiles);
    const input: Tensor = { name: "input", datatype: "FP32", shape: [1, 1, 1, 1], data: Float32Array.of(5) };
    expect(await run([input])).toEqual([input]);
    const pixels: Tensor = {
      name: "pixels",
      datatype: "UINT8",
      shape: [1, 8, 8, 1],
      data: new Uint8Array(64).fill(255),
    };
    expect((await run([pixels]))[1]).toMatchObject({ name: "input", shape: [1, 1, 8, 8] });
  });
  test("carrying both is refused", async () => {
    const { run } = await compileSteps(before, noFiles);
    const image: Tensor = { name: "image", datatype: "BYTES", shape: [1], data: [await whitePng(8)] };
    const input: Tensor = { name: "input", datatype: "FP32", shape: [1, 1, 1, 1], data: Float32Array.of(5) };
    await expect(run([image, input])).rejects.toMatchObject({
      status: 400,
      code: "DuplicateTensor",
    });
    await expect(run([image, image])).rejects.toMatchObject({
      status: 400,
      code: "DuplicateTensor",
    });
  });
  test("what no step knows stays, for the model's own check to refuse", async () => {
    const { run } = await compileSteps(before, noFiles);
    const stray: Tensor = { name: "stray", datatype: "UINT8", shape: [1], data: Uint8Array.of(1) };
    expect(await run([stray])).toEqual([stray]);
  });
  test("in place: a step may read and write one name", async () => {
    const { run } = await compileSteps([{ normalize: { input: "x", output: "x", mean: [1] } }], noFiles);
    const x: Tensor = { name: "x", datatype: "UINT8", shape: [1, 2], data: Uint8Array.of(1, 2) };
    expect(await run([x])).toEqual([
      { name: "x", datatype: "FP32", shape: [1, 2], data: Float32Array.of(0, 1) },
    ]);
  });
});

describe("postprocessing", () => {
  test("an answer has the model's outputs and what steps made of them", async () => {
    const { run, steps } = await compileSteps(after, noFiles);
    const scores: Tensor = { name: "scores", datatype: "FP32", shape: [1, 2], data: Float32Array.of(0, 0) };
    expect((await run([scores])).map(({ name }) => name)).toEqual([
      "scores",
      "probabilities",
      "confidence",
      "digit",
    ]);
    expect([...consumedNames(steps)]).toEqual(["scores", "probabilities"]);
  });
  test("labels come from one of the model's files", async () => {
    const files: StepFiles = { readText: async (name) => `${name} 0\n${name} 1\n` };
    const { run } = await compileSteps([{ labels: { input: "i", output: "l", file: "names.txt" } }], files);
    const i: Tensor = { name: "i", datatype: "INT64", shape: [1], data: BigInt64Array.of(1n) };
    expect((await run([i]))[1]?.data).toEqual([Buffer.from("names.txt 1")]);
  });
  test("a labels file that isn't there, and a step of no kind, fail when the model is loaded", async () => {
    await expect(
      compileSteps([{ labels: { input: "i", output: "l", file: "gone" } }], noFiles),
    ).rejects.toThrow("gone");
    await expect(compileSteps([{}], noFiles)).rejects.toMatchObject({ code: "InvalidStep" });
  });
});

describe("metadata", () => {
  test("names what a request carries in place of the model's inputs", async () => {
    const { steps } = await compileSteps(before, noFiles);
    const mask: TensorMetadata = { name: "mask", datatype: "BOOL", shape: [-1] };
    expect(requestInputs(steps, [...modelInputs, mask])).toEqual([
      { name: "image", datatype: "BYTES", shape: [-1] },
      mask,
    ]);
  });
  test("without steps, the model's own", () => {
    expect(requestInputs([], modelInputs)).toEqual(modelInputs);
    expect(answerOutputs([], modelOutputs)).toEqual(modelOutputs);
  });
  test("outputs are the model's and the steps', with their shapes", async () => {
    const { steps } = await compileSteps(after, noFiles);
    expect(answerOutputs(steps, modelOutputs)).toEqual([
      ...modelOutputs,
      { name: "probabilities", datatype: "FP32", shape: [-1, 10] },
      { name: "confidence", datatype: "FP32", shape: [-1, 1] },
      { name: "digit", datatype: "INT64", shape: [-1, 1] },
    ]);
  });
  test("every step's description is what it then makes", async () => {
    const { steps, run } = await compileSteps(before, noFiles);
    const [described] = answerOutputs(steps, []).filter(({ name }) => name === "input");
    const image: Tensor = { name: "image", datatype: "BYTES", shape: [1], data: [await whitePng(9)] };
    const made = (await run([image])).at(-1);
    expect(made?.shape.slice(1)).toEqual(described?.shape.slice(1));
  });
});
