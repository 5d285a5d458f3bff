import type { SessionMetadata, SessionTensor } from "../../../lib/onnx/session.ts";

export interface RunResult {
  readonly outputs: readonly SessionTensor[];
  /** Milliseconds in the model itself, without the wait for the thread. */
  readonly inferMilliseconds: number;
}

/** Where a model runs: on the thread of the event loop, or on worker threads. */
export interface Runner {
  readonly metadata: SessionMetadata;
  /** Takes ownership of the inputs' memory. Rejects with what onnxruntime says. */
  run(inputs: readonly SessionTensor[], outputs: readonly string[]): Promise<RunResult>;
  /** No run is under way, and none is asked for afterwards. */
  close(): Promise<void>;
}
