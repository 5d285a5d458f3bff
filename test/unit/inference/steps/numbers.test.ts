import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Tensor } from "../../../../lib/v2/types.ts";
import { labelLines, labels } from "../../../../runtimes/inference/steps/labels.ts";
import { normalize } from "../../../../runtimes/inference/steps/normalize.ts";
import { softmax } from "../../../../runtimes/inference/steps/softmax.ts";
import type { Step } from "../../../../runtimes/inference/steps/step.ts";
import { topK } from "../../../../runtimes/inference/steps/top-k.ts";

async function run(step: Step, ...tensors: Tensor[]): Promise<[Tensor, Tensor]> {
  return (await step.run(new Map(tensors.map((tensor) => [tensor.name, tensor])))) as [Tensor, Tensor];
}

function fp32(name: string, shape: number[], values: number[]): Tensor {
  return { name, datatype: "FP32", shape, data: Float32Array.from(values) };
}

const refused = { name: "NaruError", status: 400 };

describe("softmax", () => {
  const step = softmax({ input: "scores", output: "p" });
  test("is over the last axis, row by row", async () => {
    const [p] = await run(step, fp32("scores", [2, 2], [0, Math.log(3), 5, 5]));
    expect(p.shape).toEqual([2, 2]);
    expect([...(p.data as Float32Array)].map((value) => value.toFixed(4))).toEqual([
      "0.2500",
      "0.7500",
      "0.5000",
      "0.5000",
    ]);
  });
  test("does not overflow on large scores", async () => {
    const [p] = await run(step, fp32("scores", [1, 2], [1000, 1000]));
    expect(p.data).toEqual(Float32Array.of(0.5, 0.5));
  });
  test("rows add up to 1 for any scores", async () => {
    const row = fc.array(fc.float({ noNaN: true, noDefaultInfinity: true }), { minLength: 1, maxLength: 9 });
    await fc.assert(
      fc.asyncProperty(row, async (values) => {
        const [p] = await run(step, fp32("scores", [1, values.length], values));
        const sum = (p.data as Float32Array).reduce((total, value) => total + value, 0);
        expect(sum).toBeCloseTo(1, 4);
      }),
    );
  });
  test("takes no rows, and refuses a scalar and BYTES", async () => {
    expect((await run(step, fp32("scores", [0, 3], [])))[0].shape).toEqual([0, 3]);
    await expect(run(step, fp32("scores", [], [1]))).rejects.toMatchObject(refused);
    const bytes: Tensor = { name: "scores", datatype: "BYTES", shape: [1], data: [Buffer.from("a")] };
    await expect(run(step, bytes)).rejects.toMatchObject(refused);
  });
});

describe("topK", () => {
  const settings = { input: "p", scores: "confidence", indices: "class", k: 2 };
  test("keeps the highest of each row, highest first, equal ones by index", async () => {
    const [scores, indices] = await run(topK(settings), fp32("p", [2, 3], [0.1, 0.7, 0.2, 0.4, 0.2, 0.4]));
    expect(scores).toEqual(fp32("confidence", [2, 2], [0.7, 0.2, 0.4, 0.4]));
    expect(indices).toEqual({
      name: "class",
      datatype: "INT64",
      shape: [2, 2],
      data: BigInt64Array.of(1n, 2n, 0n, 2n),
    });
  });
  test("keeps no more than there are, and NaN last", async () => {
    const [scores] = await run(topK({ ...settings, k: 9 }), fp32("p", [1, 3], [Number.NaN, 1, 2]));
    expect(scores.shape).toEqual([1, 3]);
    expect([...(scores.data as Float32Array)]).toEqual([2, 1, Number.NaN]);
  });
  test("agrees with sorting", async () => {
    const row = fc.array(fc.float({ noNaN: true }), { minLength: 1, maxLength: 20 });
    await fc.assert(
      fc.asyncProperty(row, fc.integer({ min: 1, max: 20 }), async (values, k) => {
        const [, indices] = await run(topK({ ...settings, k }), fp32("p", [1, values.length], values));
        const sorted = values
          .map((value, index) => ({ value: Math.fround(value), index }))
          .sort((a, b) => (a.value === b.value ? a.index - b.index : a.value < b.value ? 1 : -1))
          .slice(0, k);
        expect([...(indices.data as BigInt64Array)].map(Number)).toEqual(sorted.map(({ index }) => index));
      }),
    );
  });
});

describe("labels", () => {
  const indices: Tensor = { name: "class", datatype: "INT64", shape: [2, 1], data: BigInt64Array.of(1n, 0n) };
  test("names each index, in the same shape", async () => {
    const step = labels({ input: "class", output: "label", values: ["cat", "dog"] }, []);
    const [named] = await run(step, indices);
    expect(named).toMatchObject({ datatype: "BYTES", shape: [2, 1] });
    expect((named.data as Buffer[]).map(String)).toEqual(["dog", "cat"]);
  });
  test("an index without a label is the resource's fault, not the client's", async () => {
    const step = labels({ input: "class", output: "label", values: ["cat"] }, []);
    await expect(run(step, indices)).rejects.toMatchObject({
      code: "MissingLabel",
      status: 500,
    });
  });
  test("a file has one on each line, with either line end", () => {
    expect(labelLines("cat\r\ndog\n\nbird\n")).toEqual(["cat", "dog", "", "bird"]);
  });
  test("refuses what isn't INT64", async () => {
    const step = labels({ input: "class", output: "label", values: ["cat"] }, []);
    await expect(run(step, fp32("class", [1], [0]))).rejects.toMatchObject(refused);
  });
});

describe("normalize", () => {
  const pixels: Tensor = {
    name: "pixels",
    datatype: "UINT8",
    shape: [1, 1, 2, 3],
    data: Uint8Array.of(10, 20, 30, 40, 50, 60),
  };
  test("lays images out channels first unless told otherwise", async () => {
    const [x] = await run(normalize({ input: "pixels", output: "x" }), pixels);
    expect(x).toEqual(fp32("x", [1, 3, 1, 2], [10, 40, 20, 50, 30, 60]));
    const [y] = await run(normalize({ input: "pixels", output: "x", layout: "NHWC" }), pixels);
    expect(y).toEqual(fp32("x", [1, 1, 2, 3], [10, 20, 30, 40, 50, 60]));
  });
  test("scales, then takes the mean off, then divides, by channel", async () => {
    const step = normalize({
      input: "pixels",
      output: "x",
      scale: 0.5,
      mean: [1, 2, 3],
      std: [2, 4, 8],
      layout: "NHWC",
    });
    const [x] = await run(step, pixels);
    expect(x.data).toEqual(Float32Array.of(2, 2, 1.5, 9.5, 5.75, 3.375));
  });
  test("one mean is every channel's; two images keep apart", async () => {
    const two: Tensor = { ...pixels, shape: [2, 1, 1, 3] };
    const [x] = await run(normalize({ input: "pixels", output: "x", mean: [10] }), two);
    expect(x).toEqual(fp32("x", [2, 3, 1, 1], [0, 10, 20, 30, 40, 50]));
  });
  test("takes rows of features as well, of every number type", async () => {
    const rows: Tensor = {
      name: "pixels",
      datatype: "INT64",
      shape: [2, 2],
      data: BigInt64Array.of(1n, 2n, 3n, 4n),
    };
    const half: Tensor = {
      name: "pixels",
      datatype: "FP16",
      shape: [1, 2],
      data: Uint16Array.of(0x3c00, 0xc000),
    };
    const step = normalize({ input: "pixels", output: "x", mean: [1, 1] });
    expect((await run(step, rows))[0]).toEqual(fp32("x", [2, 2], [0, 1, 2, 3]));
    expect((await run(step, half))[0]).toEqual(fp32("x", [1, 2], [0, -3]));
  });
  test("refuses other channels than it is set for, and a std of 0 when the model is loaded", async () => {
    const step = normalize({ input: "pixels", output: "x", mean: [1, 2] });
    await expect(run(step, pixels)).rejects.toMatchObject(refused);
    expect(() => normalize({ input: "a", output: "b", std: [0] })).toThrow("std has a 0");
  });
});
