import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { serveModels, type TestServer } from "../../support/inference-server.ts";
import { gemmModel, smallCnnModel } from "../../support/onnx-models.ts";

/** Rows enough that one run takes about half a second on one thread: 0.03 ms a row on a common core. */
const manyRows = 16_000;

let served: TestServer;

beforeAll(async () => {
  const long = gemmModel([64, 1024, 1024, 8]);
  served = await serveModels({
    long: { bytes: long },
    inline: { bytes: long, settings: { execution: "Inline" } },
    small: { bytes: smallCnnModel() },
  });
});
afterAll(() => served?.[Symbol.asyncDispose]());

const small = () =>
  served.infer("small", {
    inputs: [{ name: "image", datatype: "FP32", shape: [1, 1, 8, 8], data: new Float32Array(64) }],
  });
const long = (model: string) =>
  served.infer(
    model,
    {
      inputs: [
        { name: "input", datatype: "FP32", shape: [manyRows, 64], data: new Float32Array(manyRows * 64) },
      ],
    },
    { binary: true },
  );

/** How long a run of `model` took, and the slowest of what was asked of the server meanwhile. */
async function meanwhile(model: string, ask: () => Promise<unknown>) {
  const inferred = () =>
    served.server.repository.get(model).statistics().inference_stats.compute_infer.ns / 1e6;
  const before = inferred();
  let running = true;
  const run = long(model).finally(() => {
    running = false;
  });
  let slowest = 0;
  let answers = 0;
  while (running) {
    const began = performance.now();
    await ask();
    slowest = Math.max(slowest, performance.now() - began);
    answers += 1;
  }
  await run;
  return { run: inferred() - before, slowest, answers };
}

const health = async () => expect((await fetch(`${served.url}/v2/health/live`)).status).toBe(200);

describe("while a run of half a second goes on", () => {
  test("health is answered within a fraction of it", async () => {
    await meanwhile("long", health);
    const { run, slowest, answers } = await meanwhile("long", health);
    expect(answers).toBeGreaterThan(10);
    expect(slowest).toBeLessThan(Math.max(100, run / 3));
  });

  test("other models answer within a fraction of it", async () => {
    const { run, slowest, answers } = await meanwhile("long", small);
    expect(answers).toBeGreaterThan(10);
    expect(slowest).toBeLessThan(Math.max(100, run / 3));
  });

  test("the same run inline holds everything up: what the tests above would show if it were not in a worker", async () => {
    const { run, slowest } = await meanwhile("inline", health);
    expect(slowest).toBeGreaterThan(run / 2);
  });
});

describe("a body with much JSON", () => {
  const rows = 40_000;
  const text = (data: string) =>
    `{"inputs":[{"name":"image","datatype":"FP32","shape":[${rows},1,8,8],"data":[${data}]}],"parameters":{"binary_data_output":true}}`;
  const post = (body: string) => fetch(`${served.url}/v2/models/small/infer`, { method: "POST", body });

  test("is read while health is answered, and is answered as any other", async () => {
    const body = Buffer.from(text(Array.from({ length: rows * 64 }, () => "0.12345678").join()));
    let running = true;
    const answer = fetch(`${served.url}/v2/models/small/infer`, { method: "POST", body }).finally(() => {
      running = false;
    });
    const began = performance.now();
    let slowest = 0;
    while (running) {
      const asked = performance.now();
      await health();
      slowest = Math.max(slowest, performance.now() - asked);
    }
    expect((await answer).status).toBe(200);
    expect(slowest).toBeLessThan(Math.max(100, (performance.now() - began) / 3));
  });

  test("is refused for its mistakes as any other", async () => {
    const short = await post(text(Array.from({ length: rows * 64 - 1 }, () => "0.12345678").join()));
    expect([short.status, short.headers.get("naru-error-code")]).toEqual([400, "InvalidTensorData"]);
    const broken = await post(text(`${"0.12345678,".repeat(rows * 64)}x`));
    expect([broken.status, broken.headers.get("naru-error-code")]).toEqual([400, "InvalidJson"]);
  });
});

test("a model whose runs are short answers inline, and its large requests go to a worker", async () => {
  const one = await served.infer("small", {
    inputs: [{ name: "image", datatype: "FP32", shape: [1, 1, 8, 8], data: new Float32Array(64).fill(0.5) }],
  });
  const rows = 20_000;
  const many = await served.infer(
    "small",
    {
      inputs: [
        {
          name: "image",
          datatype: "FP32",
          shape: [rows, 1, 8, 8],
          data: new Float32Array(rows * 64).fill(0.5),
        },
      ],
      parameters: { binary_data_output: true },
    },
    { binary: true },
  );
  const [first, last] = [many.outputs[0]?.data[0], many.outputs[0]?.data[(rows - 1) * 10]];
  expect(Number(first)).toBeCloseTo(Number(one.outputs[0]?.data[0]), 3);
  expect(first).toBe(last);
});
