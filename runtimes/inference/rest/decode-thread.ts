import { Worker } from "node:worker_threads";
import { NaruError } from "../../../lib/errors.ts";
import { deadlineExceeded } from "../../../lib/http/deadline.ts";
import { decodeInferRequest } from "../../../lib/v2/infer-request.ts";
import type { InferRequest, Tensor } from "../../../lib/v2/types.ts";
import type { CancelSignal } from "../model.ts";
import { cutOff } from "./body.ts";
import type { DecodeAnswer, DecodeJob } from "./decode-messages.ts";

const entry = new URL(
  import.meta.url.endsWith(".ts") ? "./decode-worker.ts" : "./decode-worker.js",
  import.meta.url,
);

/** JSON of more bytes than this takes longer to read (about 10 ms a MB) than others should have to wait. */
const inlineBytes = 1024 * 1024;
/** What may wait for the thread, one body of any size aside: more than a second's work, which nobody should queue for. */
const maxWaitingBytes = 128 * 1024 * 1024;

export interface DecodeOptions {
  /** Aborted when the client has left. */
  readonly signal: CancelSignal;
  /** On the clock of `performance.now()`. */
  readonly deadline: number;
}

interface Job {
  readonly body: Buffer;
  readonly headerLength: number | undefined;
  resolve(request: InferRequest): void;
  reject(thrown: unknown): void;
}

/**
 * Decodes request bodies: short ones at once, those with much JSON one after another on a thread, which is started when
 * the first comes. What waits for it is bounded, and a request that is over leaves the queue; the one that is being
 * decoded then is finished and thrown away.
 */
export class RequestDecoder {
  readonly #maxWaitingBytes: number;
  readonly #waiting = new Set<Job>();
  #waitingBytes = 0;
  #underWay: Job | undefined;
  #thread: Worker | undefined;

  constructor(maxBytes = maxWaitingBytes) {
    this.#maxWaitingBytes = maxBytes;
  }

  /** Bodies that wait, the one that is being decoded aside. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /**
   * As `decodeInferRequest`. Takes ownership of `body`. Rejects with NaruError QueueFull (503) beyond the bound,
   * DeadlineExceeded (504) and ClientClosed (499) too.
   */
  decode(
    body: Buffer,
    headerLength: number | undefined,
    options: DecodeOptions,
  ): InferRequest | Promise<InferRequest> {
    if ((headerLength ?? body.length) <= inlineBytes) return decodeInferRequest(body, headerLength);
    if (this.#waiting.size > 0 && this.#waitingBytes + body.length > this.#maxWaitingBytes) throw queueFull();
    return this.#queue(body, headerLength, options);
  }

  async #queue(
    body: Buffer,
    headerLength: number | undefined,
    { signal, deadline }: DecodeOptions,
  ): Promise<InferRequest> {
    if (signal.aborted) throw cutOff();
    const { promise, resolve, reject } = Promise.withResolvers<InferRequest>();
    const job: Job = { body, headerLength, resolve, reject };
    const leave = (thrown: NaruError): void => {
      this.#withdraw(job);
      reject(thrown);
    };
    const onAbort = (): void => leave(cutOff());
    const timer = setTimeout(() => leave(deadlineExceeded()), Math.max(0, deadline - performance.now()));
    signal.addEventListener("abort", onAbort);
    this.#waiting.add(job);
    this.#waitingBytes += body.length;
    this.#advance();
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", onAbort);
    }
  }

  #withdraw(job: Job): void {
    if (this.#waiting.delete(job)) this.#waitingBytes -= job.body.length;
  }

  #advance(): void {
    if (this.#underWay !== undefined) return;
    for (const job of this.#waiting) {
      this.#withdraw(job);
      this.#underWay = job;
      const { body, headerLength } = job;
      const message: DecodeJob = { body, headerLength };
      this.#thread ??= this.#start();
      this.#thread.postMessage(message, ownBuffer(body));
      return;
    }
  }

  #start(): Worker {
    const thread = new Worker(entry);
    thread.on("message", (answer: DecodeAnswer) => {
      const job = this.#underWay;
      this.#underWay = undefined;
      if ("request" in answer)
        job?.resolve({ ...answer.request, inputs: answer.request.inputs.map(withBuffers) });
      else job?.reject(new NaruError(answer));
      this.#advance();
    });
    // Out of memory, as a rule: whoever it was decoding for is told, and the next body gets a new thread.
    const gone = (thrown: unknown): void => {
      if (this.#thread !== thread) return;
      this.#thread = undefined;
      const job = this.#underWay;
      this.#underWay = undefined;
      job?.reject(thrown);
      this.#advance();
    };
    thread.on("error", gone);
    thread.on("exit", (code) => gone(new Error(`the decoding thread ended with ${code}`)));
    thread.unref();
    return thread;
  }
}

function queueFull(): NaruError {
  return new NaruError({
    code: "QueueFull",
    message: "too many bytes of JSON wait to be read",
    remedy: "try again shortly; send large tensors as binary, which needs no reading, or add replicas",
    status: 503,
  });
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
