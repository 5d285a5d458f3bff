import type { InferenceModel } from "../../../lib/config/inference.ts";
import { examine, type Findings } from "./examine.ts";
import { openInline } from "./inline-runner.ts";
import { type Placement, placementOf } from "./placement.ts";
import type { Runner } from "./runner.ts";
import { WorkerPool } from "./worker-pool.ts";
import { openWorkerThread } from "./worker-thread.ts";

export interface OpenModel {
  readonly findings: Findings;
  readonly placement: Placement;
  readonly metadata: Runner["metadata"];
  /** Where runs of up to `placement.inlineRows` rows go; undefined where none is inline. */
  readonly inline: Runner | undefined;
  /** Where longer runs go. Its threads are opened at the first of them, unless that is where runs usually go. */
  readonly workers: Runner;
  close(): Promise<void>;
}

/**
 * Opens a model, warms it up, and decides by its measured time where it runs. All of that happens on a worker thread,
 * so that other models go on answering.
 *
 * @throws NaruError InvalidModel, UnsupportedTensor
 */
export async function openModel(path: string, model: InferenceModel): Promise<OpenModel> {
  const start = { path, threads: model.threads };
  const options = {
    maxSize: model.batching.enabled ? model.batching.maxSize : 1,
    warmupRuns: model.warmupRuns,
  };
  const first = await openWorkerThread(start);
  const findings = await examine(first, options).catch(async (thrown: unknown) => {
    // A load may be asked for again and again: none that fails may leave its thread behind.
    await first.close();
    throw thrown;
  });
  const placement = placementOf(model, findings);
  let inline: Runner | undefined;
  let workers: WorkerPool;
  if (placement.usual === "inline") {
    await first.close();
    inline = await openInline(path, model.threads);
    await examine(inline, { maxSize: 1, warmupRuns: 1 });
    workers = new WorkerPool(first.metadata, start, model.workers);
  } else workers = WorkerPool.of(first, start, model.workers);
  return {
    findings,
    placement,
    metadata: first.metadata,
    inline,
    workers,
    async close() {
      await Promise.all([inline?.close(), workers.close()]);
    },
  };
}
