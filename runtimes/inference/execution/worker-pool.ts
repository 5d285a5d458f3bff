import type { Runner, RunResult } from "./runner.ts";
import type { WorkerStart } from "./worker-messages.ts";
import { openWorkerThread, type WorkerThread } from "./worker-thread.ts";

/**
 * As many worker threads as a model has `workers`, opened as they are first needed. A thread that ended (memory, a bug
 * in a native operator) fails the run that it had and is replaced at the next.
 */
export class WorkerPool implements Runner {
  readonly metadata: Runner["metadata"];
  readonly #start: WorkerStart;
  readonly #size: number;
  readonly #idle: WorkerThread[] = [];
  readonly #all = new Set<WorkerThread>();
  #opening = 0;
  readonly #waiting: (() => void)[] = [];

  /** `first` is already open; the pool owns it from now on. */
  static of(first: WorkerThread, start: WorkerStart, size: number): WorkerPool {
    const pool = new WorkerPool(first.metadata, start, size);
    pool.#all.add(first);
    pool.#idle.push(first);
    return pool;
  }

  constructor(metadata: Runner["metadata"], start: WorkerStart, size: number) {
    this.metadata = metadata;
    this.#start = start;
    this.#size = size;
  }

  async run(...run: Parameters<Runner["run"]>): Promise<RunResult> {
    const thread = await this.#take();
    try {
      return await thread.run(...run);
    } finally {
      if (thread.dead) this.#all.delete(thread);
      else this.#idle.push(thread);
      this.#waiting.shift()?.();
    }
  }

  async close(): Promise<void> {
    await Promise.all([...this.#all].map((thread) => thread.close()));
    this.#all.clear();
    this.#idle.length = 0;
  }

  async #take(): Promise<WorkerThread> {
    for (;;) {
      const idle = this.#idle.pop();
      if (idle !== undefined && !idle.dead) return idle;
      if (idle !== undefined) this.#all.delete(idle);
      if (this.#all.size + this.#opening < this.#size) return this.#open();
      await new Promise<void>((resolve) => {
        this.#waiting.push(resolve);
      });
    }
  }

  async #open(): Promise<WorkerThread> {
    this.#opening += 1;
    try {
      const thread = await openWorkerThread(this.#start);
      this.#all.add(thread);
      return thread;
    } catch (thrown) {
      this.#waiting.shift()?.();
      throw thrown;
    } finally {
      this.#opening -= 1;
    }
  }
}
