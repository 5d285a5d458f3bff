import { messageOf, NaruError } from "../../lib/errors.ts";
import { deadlineExceeded } from "../../lib/http/deadline.ts";
import type { SessionTensor } from "../../lib/onnx/session.ts";
import { concatenate, split } from "./batch.ts";
import type { Runner, RunResult } from "./execution/runner.ts";
import type { CancelSignal } from "./model.ts";
import type { StatisticsRecorder } from "./statistics.ts";

/** One request's part in a run. */
export interface Job {
  readonly inputs: readonly SessionTensor[];
  /** Rows that may share a run with others'; undefined: it runs alone. */
  readonly rows: number | undefined;
  /** Jobs of one key may share a run. */
  readonly key: string;
  readonly outputs: readonly string[];
  /** `performance.now()` milliseconds. */
  readonly arrived: number;
  readonly deadline: number;
  readonly signal: CancelSignal | undefined;
}

export interface BatcherOptions {
  readonly runner: Runner;
  /** Rows of a run. */
  readonly maxSize: number;
  /** How long the first of a batch may wait for others; 0: no longer than the event loop takes to read what has come. */
  readonly maxDelayMilliseconds: number;
  /** Runs under way at once. */
  readonly slots: number;
  /** Whether runs hold the event loop (then timers could not fire anyway). */
  readonly holdsLoop: boolean;
  /** Milliseconds that a run of so many rows takes, as measured. */
  readonly estimate: (rows: number) => number;
  readonly statistics: StatisticsRecorder;
  readonly now?: () => number;
}

interface Waiting extends Job {
  resolve(outputs: readonly SessionTensor[]): void;
  reject(thrown: unknown): void;
  leave?: () => void;
  timer?: NodeJS.Timeout;
}

/** Inline runs asked for at once; more would hold the event loop for longer than its other work should wait. */
const inlineBudgetMilliseconds = 10;

/**
 * Brings requests of one model to one runner, several in a run where their shapes allow it. First come, first
 * served. A request whose deadline has passed, or whose client has left, never reaches the model.
 */
export class Batcher {
  readonly #options: BatcherOptions;
  readonly #now: () => number;
  #queue: Waiting[] = [];
  #running = 0;
  #runningMilliseconds = 0;
  #flush: NodeJS.Immediate | undefined;
  #delay: NodeJS.Timeout | undefined;

  constructor(options: BatcherOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
  }

  submit(job: Job): Promise<readonly SessionTensor[]> {
    return new Promise((resolve, reject) => {
      const waiting: Waiting = { ...job, resolve, reject };
      if (!this.#options.holdsLoop || this.#options.maxDelayMilliseconds > 0) this.#watch(waiting);
      this.#queue.push(waiting);
      if (this.#options.maxSize === 1) this.#dispatch();
      else this.#flush ??= setImmediate(this.#onImmediate);
    });
  }

  /** An immediate comes after everything that has arrived was read, so that it shares the run. */
  readonly #onImmediate = (): void => {
    this.#flush = undefined;
    this.#dispatch();
  };

  /** For jobs that may wait: lets them go when the client leaves or time is up. */
  #watch(job: Waiting): void {
    const leave = (thrown: NaruError): void => {
      const index = this.#queue.indexOf(job);
      if (index >= 0) this.#queue.splice(index, 1);
      this.#settled(job);
      job.reject(thrown);
    };
    const { signal } = job;
    if (signal !== undefined) {
      const onAbort = (): void => leave(clientClosed());
      signal.addEventListener("abort", onAbort);
      job.leave = () => signal.removeEventListener("abort", onAbort);
    }
    job.timer = setTimeout(
      () => leave(deadlineExceeded()),
      Math.max(0, Math.ceil(job.deadline - job.arrived)),
    );
  }

  #settled(job: Waiting): void {
    clearTimeout(job.timer);
    job.leave?.();
  }

  #dispatch(): void {
    const { slots, holdsLoop } = this.#options;
    while (this.#queue.length > 0 && this.#running < slots) {
      if (holdsLoop && this.#running > 0 && this.#runningMilliseconds >= inlineBudgetMilliseconds) return;
      const group = this.#takeGroup();
      if (group.length === 0) return;
      void this.#run(group);
    }
  }

  /** The first in the queue and whatever may share its run; none while it is worth waiting for more. */
  #takeGroup(): Waiting[] {
    const now = this.#now();
    if (this.#options.maxSize === 1) return this.#takeOne(now);
    const alive: Waiting[] = [];
    for (const job of this.#queue) {
      const refusal = this.#refusal(job, now);
      if (refusal === undefined) alive.push(job);
      else this.#refuse(job, refusal);
    }
    this.#queue = alive;
    const [first] = alive;
    if (first === undefined) return [];
    if (first.rows === undefined) return alive.splice(0, 1);
    const group: Waiting[] = [];
    const rest: Waiting[] = [];
    let rows = 0;
    for (const job of alive) {
      const fits =
        job.rows !== undefined && job.key === first.key && rows + job.rows <= this.#options.maxSize;
      if (job === first || fits) {
        group.push(job);
        rows += job.rows ?? 0;
      } else rest.push(job);
    }
    if (this.#worthWaiting(group, rows, now)) return [];
    this.#queue = rest;
    return group;
  }

  /** Without batching nobody else need be looked at. */
  #takeOne(now: number): Waiting[] {
    for (let job = this.#queue.shift(); job !== undefined; job = this.#queue.shift()) {
      const refusal = this.#refusal(job, now);
      if (refusal === undefined) return [job];
      this.#refuse(job, refusal);
    }
    return [];
  }

  #worthWaiting(group: readonly Waiting[], rows: number, now: number): boolean {
    const { maxDelayMilliseconds, maxSize, estimate } = this.#options;
    if (maxDelayMilliseconds === 0 || rows >= maxSize) return false;
    let until = Number.POSITIVE_INFINITY;
    for (const job of group) {
      until = Math.min(until, job.arrived + maxDelayMilliseconds, job.deadline - estimate(maxSize));
    }
    if (now >= until) return false;
    clearTimeout(this.#delay);
    this.#delay = setTimeout(() => this.#dispatch(), until - now);
    return true;
  }

  /** Why a job shall not be run any more. */
  #refusal(job: Waiting, now: number): NaruError | undefined {
    if (job.signal?.aborted === true) return clientClosed();
    return now >= job.deadline ? deadlineExceeded() : undefined;
  }

  #refuse(job: Waiting, thrown: NaruError): void {
    this.#settled(job);
    job.reject(thrown);
  }

  async #run(group: readonly Waiting[]): Promise<void> {
    const { estimate } = this.#options;
    const expected = estimate(group.reduce((sum, job) => sum + (job.rows ?? 1), 0));
    this.#running += 1;
    this.#runningMilliseconds += expected;
    try {
      await this.#runGroup(group);
    } finally {
      this.#running -= 1;
      this.#runningMilliseconds -= expected;
      if (this.#queue.length > 0) {
        // Whoever waited behind this run has company that is still to be read from its socket.
        if (this.#options.holdsLoop) this.#flush ??= setImmediate(this.#onImmediate);
        else this.#dispatch();
      }
    }
  }

  async #runGroup(group: readonly Waiting[]): Promise<void> {
    const [first] = group;
    if (first === undefined) return;
    const { runner, statistics } = this.#options;
    const began = this.#now();
    let result: RunResult;
    let submitted = began;
    try {
      const inputs = this.#assemble(group, first);
      submitted = this.#now();
      result = await runner.run(inputs, first.outputs);
    } catch (thrown) {
      // One request's data may have failed the run for all: each is tried alone.
      if (group.length > 1) await this.#runEachAlone(group);
      else this.#refuse(first, inferenceFailed(thrown));
      return;
    }
    const finished = this.#now();
    const shares = this.#takeApart(group, result.outputs);
    if (shares === undefined) {
      await this.#runEachAlone(group);
      return;
    }
    const rows = group.reduce((sum, job) => sum + (job.rows ?? 1), 0);
    statistics.ran(rows, group.length, {
      computeInput: submitted - began,
      computeInfer: result.inferMilliseconds,
      computeOutput: this.#now() - finished,
    });
    // What passed between hand-over and start was waiting too.
    const started = finished - result.inferMilliseconds;
    for (const [index, job] of group.entries()) {
      this.#settled(job);
      statistics.queued(Math.max(0, started - (submitted - began) - job.arrived));
      job.resolve(shares[index] ?? []);
    }
  }

  async #runEachAlone(group: readonly Waiting[]): Promise<void> {
    for (const job of group) {
      const refusal = this.#refusal(job, this.#now());
      if (refusal === undefined) await this.#runGroup([job]);
      else this.#refuse(job, refusal);
    }
  }

  #assemble(group: readonly Waiting[], first: Waiting): readonly SessionTensor[] {
    if (group.length > 1) {
      return first.inputs.map((input, position) =>
        concatenate(group.map((job) => job.inputs[position] ?? input)),
      );
    }
    // A worker takes the memory away, and a request's tensors may share theirs with the body; inline, nothing is moved.
    return this.#options.holdsLoop ? first.inputs : first.inputs.map((input) => concatenate([input]));
  }

  /** The outputs of each job; undefined where a batch's outputs do not have a row for each row of the inputs. */
  #takeApart(
    group: readonly Waiting[],
    outputs: readonly SessionTensor[],
  ): readonly (readonly SessionTensor[])[] | undefined {
    if (group.length === 1) return [outputs];
    const rows = group.map((job) => job.rows ?? 0);
    const shares = group.map((): SessionTensor[] => []);
    for (const output of outputs) {
      const parts = split(output, rows);
      if (parts === undefined) return undefined;
      for (const [index, part] of parts.entries()) shares[index]?.push(part);
    }
    return shares;
  }
}

function clientClosed(): NaruError {
  return new NaruError({
    code: "ClientClosed",
    message: "the client left before its request was run",
    remedy: "Keep the connection open until the answer is there.",
    status: 499,
  });
}

function inferenceFailed(thrown: unknown): NaruError {
  return new NaruError({
    code: "InferenceFailed",
    message: `the model failed: ${messageOf(thrown)}`,
    remedy:
      "Check that the values suit the model (indices in range, lengths that agree); else the model is at fault.",
    cause: thrown,
  });
}
