import { Worker } from "node:worker_threads";
import { NaruError } from "../../../lib/errors.ts";
import { decodeInferRequest } from "../../../lib/v2/infer-request.ts";
import type { InferRequest, Tensor } from "../../../lib/v2/types.ts";
import type { DecodeAnswer, DecodeJob } from "./decode-messages.ts";

const entry = new URL(
  import.meta.url.endsWith(".ts") ? "./decode-worker.ts" : "./decode-worker.js",
  import.meta.url,
);

/** JSON of more bytes than this takes longer to read (about 10 ms a MB) than others should have to wait. */
const inlineBytes = 1024 * 1024;

interface Waiter {
  resolve(request: InferRequest): void;
  reject(thrown: unknown): void;
}

/** Decodes request bodies: short ones at once, those with much JSON on a thread that is started when the first comes. */
export class RequestDecoder {
  readonly #waiting = new Map<number, Waiter>();
  #thread: Worker | undefined;
  #next = 0;

  /** As `decodeInferRequest`. Takes ownership of `body`. */
  decode(body: Buffer, headerLength: number | undefined): InferRequest | Promise<InferRequest> {
    if ((headerLength ?? body.length) <= inlineBytes) return decodeInferRequest(body, headerLength);
    return new Promise((resolve, reject) => {
      const id = this.#next;
      this.#next += 1;
      this.#waiting.set(id, { resolve, reject });
      const job: DecodeJob = { id, body, headerLength };
      this.#thread ??= this.#start();
      this.#thread.postMessage(job, ownBuffer(body));
    });
  }

  #start(): Worker {
    const thread = new Worker(entry);
    thread.on("message", (answer: DecodeAnswer) => {
      const waiter = this.#waiting.get(answer.id);
      this.#waiting.delete(answer.id);
      if ("request" in answer)
        waiter?.resolve({ ...answer.request, inputs: answer.request.inputs.map(withBuffers) });
      else waiter?.reject(new NaruError(answer));
    });
    // Out of memory, as a rule: whoever waited is told, and the next body gets a new thread.
    const gone = (thrown: unknown): void => {
      if (this.#thread === thread) this.#thread = undefined;
      for (const { reject } of this.#waiting.values()) reject(thrown);
      this.#waiting.clear();
    };
    thread.on("error", gone);
    thread.on("exit", (code) => gone(new Error(`the decoding thread ended with ${code}`)));
    thread.unref();
    return thread;
  }
}

/** The buffer can be handed over where all of it is this body's; Node's small buffers share theirs. */
function ownBuffer(body: Buffer): ArrayBuffer[] {
  const { buffer, byteLength } = body;
  return buffer instanceof ArrayBuffer && buffer.byteLength - byteLength < 8 ? [buffer] : [];
}

/** Buffers arrive from another thread as plain byte arrays. */
function withBuffers(tensor: Tensor): Tensor {
  if (tensor.datatype !== "BYTES") return tensor;
  const elements = tensor.data as readonly Uint8Array[];
  return {
    ...tensor,
    data: elements.map((bytes) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)),
  };
}
