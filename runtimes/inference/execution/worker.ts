import { type MessagePort, parentPort, workerData } from "node:worker_threads";
import { messageOf, NaruError } from "../../../lib/errors.ts";
import { type OnnxSession, openSession } from "../../../lib/onnx/session.ts";
import {
  transferable,
  type WorkerAnswer,
  type WorkerFailure,
  type WorkerRun,
  type WorkerStart,
} from "./worker-messages.ts";

/** The thread that a WorkerThread starts: one session, one run at a time. */

function failure(thrown: unknown): WorkerFailure {
  const known = thrown instanceof NaruError ? { code: thrown.code, remedy: thrown.remedy } : {};
  return { kind: "failed", message: messageOf(thrown), ...known };
}

async function serve(port: MessagePort, start: WorkerStart): Promise<void> {
  const answer = (message: WorkerAnswer, buffers: ArrayBuffer[] = []): void =>
    port.postMessage(message, buffers);
  let session: OnnxSession;
  try {
    session = await openSession(start.path, start.threads);
  } catch (thrown) {
    answer(failure(thrown));
    port.close();
    return;
  }
  port.on("message", async ({ inputs, outputs }: WorkerRun) => {
    try {
      // onnxruntime-node runs in an immediate; nothing else happens on this thread before it.
      const began = performance.now();
      const results = await session.run(inputs, outputs);
      const inferMilliseconds = performance.now() - began;
      answer({ kind: "ran", outputs: results, inferMilliseconds }, transferable(results));
    } catch (thrown) {
      answer(failure(thrown));
    }
  });
  answer({ kind: "opened", metadata: session.metadata });
}

if (parentPort !== null) await serve(parentPort, workerData as WorkerStart);
