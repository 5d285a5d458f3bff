import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { InferResponse } from "../../../lib/v2/types.ts";
import { eventually } from "../../support/eventually.ts";
import { serveModels, type TestServer } from "../../support/inference-server.ts";
import { batchCoupledModel, gatherModel, gemmModel, identityModel } from "../../support/onnx-models.ts";

let served: TestServer;

beforeAll(async () => {
  served = await serveModels(
    {
      first: {
        bytes: identityModel("FP32"),
        settings: { batching: { maxSize: 8, maxDelayMicroseconds: 20_000 } },
      },
      second: { bytes: identityModel("FP32"), settings: { batching: { maxSize: 8 } } },
      lengths: { bytes: identityModel("FP32", ["N", "length"]) },
      text: { bytes: identityModel("BYTES") },
      coupled: { bytes: batchCoupledModel() },
      gather: { bytes: gatherModel(), settings: { execution: "Worker" } },
      worker: { bytes: gemmModel([64, 256, 8]), settings: { execution: "Worker" } },
      delayed: {
        bytes: identityModel("FP32"),
        settings: { batching: { maxDelayMicroseconds: 10_000_000, maxSize: 4 } },
      },
    },
    { maxQueuedRequests: 64 },
  );
});
afterAll(() => served?.[Symbol.asyncDispose]());

const row = (values: number[], shape = [1, values.length]) => ({
  inputs: [{ name: "x", datatype: "FP32" as const, shape, data: Float32Array.from(values) }],
});
const statistics = (model: string) => served.server.repository.get(model).statistics();
const numbersOf = ({ outputs }: InferResponse) => [...(outputs[0]?.data ?? [])];

describe("dynamic batching", () => {
  test("concurrent requests share runs, in batches of the maximum at most, and each gets its own rows back", async () => {
    const answers = await Promise.all(
      Array.from({ length: 48 }, (_, i) => served.infer("first", row([i, i, i, i]), { binary: i % 2 === 0 })),
    );
    for (const [i, answer] of answers.entries()) expect(numbersOf(answer)).toEqual([i, i, i, i]);
    const { execution_count, inference_count, batch_stats } = statistics("first");
    expect(inference_count).toBe(48);
    expect(execution_count).toBeLessThan(48);
    expect(Math.max(...batch_stats.map(({ batch_size }) => batch_size))).toBeLessThanOrEqual(8);
  });

  test("models never share a run", async () => {
    const before = statistics("first").inference_count;
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, i) => served.infer(i % 2 === 0 ? "first" : "second", row([i, 0, 0, 0]))),
    );
    expect(answers.map(({ modelName }) => modelName)).toEqual(
      answers.map((_, i) => (i % 2 === 0 ? "first" : "second")),
    );
    expect(answers.map((answer) => numbersOf(answer)[0])).toEqual(answers.map((_, i) => i));
    expect([statistics("first").inference_count - before, statistics("second").inference_count]).toEqual([
      10, 10,
    ]);
  });

  test("requests of different lengths never share a run", async () => {
    const answers = await Promise.all(
      Array.from({ length: 30 }, (_, i) =>
        served.infer("lengths", row(Array.from({ length: 1 + (i % 3) }, () => i))),
      ),
    );
    for (const [i, answer] of answers.entries()) {
      expect(answer.outputs[0]?.shape).toEqual([1, 1 + (i % 3)]);
      expect(numbersOf(answer).every((value) => value === i)).toBe(true);
    }
  });

  test("strings are batched like numbers", async () => {
    const answers = await Promise.all(
      Array.from({ length: 10 }, (_, i) =>
        served.infer("text", {
          inputs: [
            {
              name: "x",
              datatype: "BYTES",
              shape: [1, 4],
              data: ["a", "b", "c", String(i)].map((text) => Buffer.from(text)),
            },
          ],
        }),
      ),
    );
    expect(answers.map((answer) => String(numbersOf(answer)[3]))).toEqual(answers.map((_, i) => String(i)));
  });

  test("a model whose rows depend on each other answers each request as if it were alone", async () => {
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, i) => served.infer("coupled", row([i, i, i, i]))),
    );
    for (const answer of answers) expect(numbersOf(answer)).toEqual([0, 0, 0, 0]);
    expect(statistics("coupled").execution_count).toBe(20);
  });

  test("one request whose values the model fails on fails alone", async () => {
    const outcomes = await Promise.allSettled(
      Array.from({ length: 12 }, (_, i) =>
        served.infer("gather", {
          inputs: [
            { name: "index", datatype: "INT64", shape: [1, 1], data: BigInt64Array.of(i === 5 ? 99n : 3n) },
          ],
        }),
      ),
    );
    expect(outcomes.map(({ status }) => status)).toEqual(
      outcomes.map((_, i) => (i === 5 ? "rejected" : "fulfilled")),
    );
  });

  test("a worker's answers are the ones that the rows give alone", async () => {
    const ask = (i: number) =>
      served.infer("worker", {
        inputs: [
          { name: "input", datatype: "FP32", shape: [1, 64], data: new Float32Array(64).fill(i / 10) },
        ],
      });
    const alone = [];
    for (let i = 0; i < 10; i += 1) alone.push(numbersOf(await ask(i)));
    const together = await Promise.all(Array.from({ length: 10 }, (_, i) => ask(i)));
    for (const [i, answer] of together.entries()) {
      for (const [at, value] of numbersOf(answer).entries())
        expect(value).toBeCloseTo(Number(alone[i]?.[at]), 3);
    }
  });
});

describe("requests that wait", () => {
  const ask = (signal?: AbortSignal, headers: Record<string, string> = {}) =>
    fetch(`${served.url}/v2/models/delayed/infer`, {
      method: "POST",
      headers,
      body: JSON.stringify({ inputs: [{ name: "x", datatype: "FP32", shape: [1, 4], data: [1, 2, 3, 4] }] }),
      ...(signal === undefined ? {} : { signal }),
    });
  const pending = async () => {
    const text = await (await fetch(`${served.adminUrl}/metrics`)).text();
    return Number(/naru_inference_pending_request_count\{model="delayed"[^}]*\} (\d+)/.exec(text)?.[1]);
  };

  test("a client that leaves takes its queued request with it", async () => {
    const client = new AbortController();
    const left = ask(client.signal).catch((thrown: Error) => thrown.name);
    await eventually("the request waits", async () => (await pending()) === 1);
    client.abort();
    expect(await left).toBe("AbortError");
    await eventually("nothing waits", async () => (await pending()) === 0);
    expect(statistics("delayed").execution_count).toBe(0);
  });

  test("a deadline of the client's own is kept: 504, long before the batch would have been complete", async () => {
    // The delay is ten seconds, and the model is known to take next to nothing, so the run comes just before the deadline.
    const inTime = await ask(undefined, { "x-request-timeout-ms": "200" });
    expect([200, 504]).toContain(inTime.status);
    const parameters = { timeout: 1 };
    const late = await fetch(`${served.url}/v2/models/delayed/infer`, {
      method: "POST",
      body: JSON.stringify({
        parameters,
        inputs: [{ name: "x", datatype: "FP32", shape: [1, 4], data: [1, 2, 3, 4] }],
      }),
    });
    expect([late.status, late.headers.get("naru-error-code")]).toEqual([504, "DeadlineExceeded"]);
  });

  test("four that wait together are a full batch and go at once", async () => {
    const before = statistics("delayed").execution_count;
    const answers = await Promise.all([ask(), ask(), ask(), ask()]);
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
    expect(statistics("delayed").execution_count).toBe(before + 1);
  });
});

test("beyond the bound of the queue the answer is 503 with Retry-After", async () => {
  await using small = await serveModels(
    {
      delayed: { bytes: identityModel("FP32"), settings: { batching: { maxDelayMicroseconds: 10_000_000 } } },
    },
    { maxQueuedRequests: 2 },
  );
  const client = new AbortController();
  const ask = () =>
    fetch(`${small.url}/v2/models/delayed/infer`, {
      method: "POST",
      signal: client.signal,
      body: JSON.stringify({ inputs: [{ name: "x", datatype: "FP32", shape: [1, 4], data: [1, 2, 3, 4] }] }),
    });
  const waiting = [ask(), ask()].map((answer) => answer.catch((thrown: Error) => thrown.name));
  const metrics = async () => (await fetch(`${small.adminUrl}/metrics`)).text();
  await eventually("both wait", async () => /pending_request_count\{[^}]*\} 2/.test(await metrics()));
  const refused = await ask();
  expect([refused.status, refused.headers.get("naru-error-code")]).toEqual([503, "QueueFull"]);
  expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(0);
  client.abort();
  expect(await Promise.all(waiting)).toEqual(["AbortError", "AbortError"]);
});

test("queue delay and batch size are histograms, and counters have Triton's names", async () => {
  const text = await (await fetch(`${served.adminUrl}/metrics`)).text();
  expect(text).toMatch(/naru_inference_batch_size_bucket\{model="first",[^}]*le="8"\} \d+/);
  expect(text).toMatch(/naru_inference_queue_delay_us_count\{model="first"[^}]*\} [1-9]/);
  for (const name of [
    "request_success",
    "request_failure",
    "count",
    "exec_count",
    "request_duration_us",
    "queue_duration_us",
    "compute_input_duration_us",
    "compute_infer_duration_us",
    "compute_output_duration_us",
  ]) {
    expect(text).toMatch(new RegExp(`^naru_inference_${name}\\{`, "m"));
  }
});
