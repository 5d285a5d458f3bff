import { Worker } from "node:worker_threads";
import { NaruError } from "../../../lib/errors.ts";
import type { SessionMetadata } from "../../../lib/onnx/session.ts";
import type { Runner, RunResult } from "./runner.ts";
import {
  transferable,
  type WorkerAnswer,
  type WorkerFailure,
  type WorkerRun,
  type WorkerStart,
} from "./worker-messages.ts";

const entry = new URL(import.meta.url.endsWith(".ts") ? "./worker.ts" : "./worker.js", import.meta.url);

/** One worker thread with one session; one run at a time. */
export interface WorkerThread extends Runner {
  /** The thread has ended on its own: every run is refused. */
  readonly dead: boolean;
}

interface Waiter {
  resolve(answer: WorkerAnswer): void;
  reject(thrown: unknown): void;
}

/** @throws NaruError InvalidModel, UnsupportedTensor */
export async function openWorkerThread(start: WorkerStart): Promise<WorkerThread> {
  const worker = new Worker(entry, { workerData: start });
  let waiter: Waiter | undefined;
  let dead = false;
  const settle = (act: (waiter: Waiter) => void): void => {
    const waiting = waiter;
    waiter = undefined;
    if (waiting !== undefined) act(waiting);
  };
  worker.on("message", (answer: WorkerAnswer) => settle((waiting) => waiting.resolve(answer)));
  worker.on("error", (thrown) => settle((waiting) => waiting.reject(thrown)));
  worker.on("exit", (code) => {
    dead = true;
    settle((waiting) => waiting.reject(new Error(`the model's worker thread ended with ${code}`)));
  });
  const nextAnswer = (): Promise<WorkerAnswer> =>
    new Promise((resolve, reject) => {
      waiter = { resolve, reject };
    });

  const opened = await nextAnswer();
  if (opened.kind !== "opened") throw openError(opened);
  return {
    metadata: opened.metadata as SessionMetadata,
    get dead() {
      return dead;
    },
    async run(inputs, outputs): Promise<RunResult> {
      if (dead) throw new Error("the model's worker thread has ended");
      if (waiter !== undefined) throw new Error("a run is under way on this worker thread");
      const answered = nextAnswer();
      const message: WorkerRun = { inputs, outputs };
      worker.postMessage(message, transferable(inputs));
      const answer = await answered;
      if (answer.kind === "ran") return answer;
      throw new Error(answer.kind === "failed" ? answer.message : "the worker thread gave no answer");
    },
    async close() {
      await worker.terminate();
    },
  };
}

function openError(answer: WorkerAnswer): Error {
  const failed: Partial<WorkerFailure> = answer.kind === "failed" ? answer : {};
  const message = failed.message ?? "the worker thread did not open the model";
  if (failed.code === undefined || failed.remedy === undefined) return new Error(message);
  return new NaruError({ code: failed.code, message, remedy: failed.remedy });
}
