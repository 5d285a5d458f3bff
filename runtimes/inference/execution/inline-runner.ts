import { openSession } from "../../../lib/onnx/session.ts";
import type { Runner } from "./runner.ts";

/** Runs on the event loop's own thread: no hand-over to pay for, and nothing else happens meanwhile. */
export async function openInline(path: string, threads: number): Promise<Runner> {
  const session = await openSession(path, threads);
  return {
    metadata: session.metadata,
    async run(inputs, outputs) {
      // onnxruntime-node runs in an immediate of its own; one asked for just before it starts the clock.
      let began = 0;
      setImmediate(() => {
        began = performance.now();
      });
      const results = await session.run(inputs, outputs);
      return { outputs: results, inferMilliseconds: performance.now() - began };
    },
    close: () => session.release(),
  };
}
