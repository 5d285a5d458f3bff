import type { SessionMetadata, SessionTensor } from "../../../lib/onnx/session.ts";

/** What a worker is started with. */
export interface WorkerStart {
  readonly path: string;
  readonly threads: number;
}

/** To the worker: one run, answered before the next is sent. */
export interface WorkerRun {
  readonly inputs: readonly SessionTensor[];
  readonly outputs: readonly string[];
}

/** An error as it crosses threads; `code` and `remedy` where it was a NaruError. */
export interface WorkerFailure {
  readonly kind: "failed";
  readonly message: string;
  readonly code?: string;
  readonly remedy?: string;
}

/** From the worker: first `opened` or `failed`, then an answer to each run. */
export type WorkerAnswer =
  | { readonly kind: "opened"; readonly metadata: SessionMetadata }
  | { readonly kind: "ran"; readonly outputs: readonly SessionTensor[]; readonly inferMilliseconds: number }
  | WorkerFailure;

/** The buffers that can be handed over with a message instead of being copied. */
export function transferable(tensors: readonly SessionTensor[]): ArrayBuffer[] {
  const buffers = new Set<ArrayBuffer>();
  for (const { data } of tensors) {
    if (ArrayBuffer.isView(data) && data.buffer instanceof ArrayBuffer) buffers.add(data.buffer);
  }
  return [...buffers];
}
