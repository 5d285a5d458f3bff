import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { SessionTensor } from "../../../lib/onnx/session.ts";
import { Batcher, type BatcherOptions, type Job } from "../../../runtimes/inference/batcher.ts";
import type { Runner } from "../../../runtimes/inference/execution/runner.ts";
import { StatisticsRecorder } from "../../../runtimes/inference/statistics.ts";

/** A runner that doubles its input and finishes when told, so that what waits can be seen. */
class HeldRunner implements Runner {
  readonly metadata = { inputs: [], outputs: [] };
  readonly runs: { rows: number; release: () => void; fail: (error: Error) => void }[] = [];
  /** Rows with this value fail the run that they are in. */
  poison: number | undefined;
  held = true;
  /** Instead of a row an input row, the answer has this many. */
  answerRows: number | undefined;

  async run(inputs: readonly SessionTensor[]) {
    const [input] = inputs;
    const data = input?.data as Float32Array;
    const rows = input?.shape[0] ?? 0;
    await new Promise<void>((resolve, reject) => {
      this.runs.push({ rows, release: resolve, fail: reject });
      if (!this.held) resolve();
    });
    if (this.poison !== undefined && data.includes(this.poison)) throw new Error("poison");
    const output: SessionTensor = {
      datatype: "FP32",
      shape: [this.answerRows ?? rows, 1],
      data: data.map((x) => 2 * x),
    };
    return { outputs: [output], inferMilliseconds: 1 };
  }

  async close(): Promise<void> {
    this.held = false;
  }
}

let runner: HeldRunner;
let statistics: StatisticsRecorder;
const never = 1e9;

function batcher(options: Partial<BatcherOptions> = {}): Batcher {
  return new Batcher({
    runner,
    maxSize: 4,
    maxDelayMilliseconds: 0,
    slots: 1,
    holdsLoop: false,
    estimate: () => 1,
    statistics,
    now: () => performance.now(),
    ...options,
  });
}

function job(values: number[], more: Partial<Job> = {}): Job {
  return {
    inputs: [{ datatype: "FP32", shape: [values.length, 1], data: Float32Array.from(values) }],
    rows: values.length,
    key: "",
    outputs: ["y"],
    arrived: performance.now(),
    deadline: performance.now() + never,
    signal: undefined,
    ...more,
  };
}

const valuesOf = async (answer: Promise<readonly SessionTensor[]>) => [...((await answer)[0]?.data ?? [])];
const turn = () => vi.advanceTimersByTimeAsync(0);

beforeEach(() => {
  vi.useFakeTimers();
  runner = new HeldRunner();
  statistics = new StatisticsRecorder();
});
afterEach(() => vi.useRealTimers());

describe("batching", () => {
  test("what came together shares a run, and each request gets its own rows back", async () => {
    const queue = batcher();
    const answers = [queue.submit(job([1])), queue.submit(job([2, 3])), queue.submit(job([4]))];
    await turn();
    expect(runner.runs.map(({ rows }) => rows)).toEqual([4]);
    runner.runs[0]?.release();
    expect(await Promise.all(answers.map(valuesOf))).toEqual([[2], [4, 6], [8]]);
    expect([statistics.executionCount, statistics.inferenceCount]).toEqual([1, 4]);
  });

  test("no run has more rows than the maximum, and what waits behind a run shares the next", async () => {
    const queue = batcher();
    const answers = [1, 2, 3, 4, 5, 6].map((value) => queue.submit(job([value])));
    await turn();
    expect(runner.runs.map(({ rows }) => rows)).toEqual([4]);
    runner.runs[0]?.release();
    await turn();
    expect(runner.runs.map(({ rows }) => rows)).toEqual([4, 2]);
    runner.runs[1]?.release();
    expect(await Promise.all(answers.map(valuesOf))).toEqual([[2], [4], [6], [8], [10], [12]]);
  });

  test("requests of different shapes, and those that run alone, never share a run", async () => {
    const queue = batcher({ slots: 9 });
    runner.held = false;
    const answers = [
      queue.submit(job([1], { key: "a" })),
      queue.submit(job([2], { key: "b" })),
      queue.submit(job([3], { key: "a" })),
      queue.submit(job([4], { rows: undefined, key: "a" })),
    ];
    await turn();
    expect(await Promise.all(answers.map(valuesOf))).toEqual([[2], [4], [6], [8]]);
    expect(runner.runs.map(({ rows }) => rows).sort()).toEqual([1, 1, 2]);
  });

  test("a request of more rows than the maximum runs by itself", async () => {
    const queue = batcher();
    runner.held = false;
    const answers = [queue.submit(job([1])), queue.submit(job([1, 2, 3, 4, 5])), queue.submit(job([6]))];
    await turn();
    expect(await Promise.all(answers.map(valuesOf))).toEqual([[2], [2, 4, 6, 8, 10], [12]]);
    expect(runner.runs.map(({ rows }) => rows)).toEqual([2, 5]);
  });

  test("when a run of many fails, each is tried alone and only the culprit fails", async () => {
    const queue = batcher();
    runner.held = false;
    runner.poison = 2;
    const answers = [1, 2, 3].map((value) => queue.submit(job([value])));
    const outcomes = Promise.allSettled(answers);
    await turn();
    expect((await outcomes).map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
    await expect(answers[1]).rejects.toMatchObject({ code: "InferenceFailed", status: 500 });
  });

  test("an answer without a row for each row is not shared out: each request is run alone", async () => {
    const queue = batcher();
    runner.held = false;
    runner.answerRows = 7;
    const answers = [queue.submit(job([1])), queue.submit(job([2]))];
    await turn();
    expect(await Promise.all(answers.map(valuesOf))).toEqual([[2], [4]]);
    expect(runner.runs.map(({ rows }) => rows)).toEqual([2, 1, 1]);
  });
});

describe("the delay", () => {
  test("a lone request waits for company as long as the delay, and no longer", async () => {
    const queue = batcher({ maxDelayMilliseconds: 10 });
    const first = queue.submit(job([1]));
    await vi.advanceTimersByTimeAsync(9);
    expect(runner.runs).toHaveLength(0);
    const second = queue.submit(job([2]));
    await vi.advanceTimersByTimeAsync(1);
    expect(runner.runs.map(({ rows }) => rows)).toEqual([2]);
    runner.runs[0]?.release();
    expect(await Promise.all([first, second].map(valuesOf))).toEqual([[2], [4]]);
  });

  test("a full batch does not wait", async () => {
    const queue = batcher({ maxDelayMilliseconds: 10 });
    for (const value of [1, 2, 3, 4]) void queue.submit(job([value]));
    await turn();
    expect(runner.runs.map(({ rows }) => rows)).toEqual([4]);
  });

  test("a request whose deadline is near does not wait past the time that its run takes", async () => {
    const queue = batcher({ maxDelayMilliseconds: 1000, estimate: () => 20 });
    const answer = queue.submit(job([1], { deadline: performance.now() + 50 }));
    await vi.advanceTimersByTimeAsync(29);
    expect(runner.runs).toHaveLength(0);
    await vi.advanceTimersByTimeAsync(1);
    expect(runner.runs).toHaveLength(1);
    runner.runs[0]?.release();
    expect(await valuesOf(answer)).toEqual([2]);
  });
});

describe("who can't wait any longer", () => {
  test("a request whose time is up is answered so at once, and never reaches the model", async () => {
    const queue = batcher();
    void queue.submit(job([1]));
    await turn();
    const late = queue.submit(job([2], { deadline: performance.now() + 5 }));
    const outcome = expect(late).rejects.toMatchObject({ code: "DeadlineExceeded", status: 504 });
    await vi.advanceTimersByTimeAsync(5);
    await outcome;
    runner.runs[0]?.release();
    await turn();
    expect(runner.runs).toHaveLength(1);
  });

  test("a run that outlasts the deadline answers 504 before it ends", async () => {
    const queue = batcher();
    const answer = queue.submit(job([1], { deadline: performance.now() + 5 }));
    const outcome = expect(answer).rejects.toMatchObject({ status: 504 });
    await vi.advanceTimersByTimeAsync(5);
    await outcome;
    runner.runs[0]?.release();
    await turn();
  });

  test("a client that leaves takes its queued request with it", async () => {
    const queue = batcher();
    void queue.submit(job([1]));
    await turn();
    const client = new AbortController();
    const left = queue.submit(job([2], { signal: client.signal }));
    const stayed = queue.submit(job([3]));
    const outcome = expect(left).rejects.toMatchObject({ code: "ClientClosed" });
    client.abort();
    await outcome;
    runner.runs[0]?.release();
    await turn();
    runner.runs[1]?.release();
    expect(await valuesOf(stayed)).toEqual([6]);
    expect(runner.runs.map(({ rows }) => rows)).toEqual([1, 1]);
  });

  test("inline too, a client that has left and a deadline that has passed are not run for", async () => {
    const queue = batcher({ holdsLoop: true, slots: Number.POSITIVE_INFINITY });
    runner.held = false;
    const client = new AbortController();
    const outcomes = Promise.allSettled([
      queue.submit(job([1], { signal: client.signal })),
      queue.submit(job([2], { deadline: performance.now() })),
      queue.submit(job([3])),
    ]);
    client.abort();
    await turn();
    expect((await outcomes).map(({ status }) => status)).toEqual(["rejected", "rejected", "fulfilled"]);
    expect(runner.runs.map(({ rows }) => rows)).toEqual([1]);
  });
});

test("inline runs are asked for a few milliseconds' worth at a time, so that the event loop turns between them", async () => {
  const queue = batcher({ holdsLoop: true, slots: Number.POSITIVE_INFINITY, maxSize: 1, estimate: () => 4 });
  const answers = [1, 2, 3, 4, 5, 6].map((value) => queue.submit(job([value], { rows: undefined })));
  expect(runner.runs).toHaveLength(3);
  runner.held = false;
  for (const run of runner.runs) run.release();
  await turn();
  expect(await Promise.all(answers.map(valuesOf))).toEqual([[2], [4], [6], [8], [10], [12]]);
});
