import { parentPort } from "node:worker_threads";
import { messageOf, NaruError } from "../../../lib/errors.ts";
import { decodeInferRequest } from "../../../lib/v2/infer-request.ts";
import { buffersOf, type DecodeAnswer, type DecodeJob } from "./decode-messages.ts";

/** The thread that a DecodeThread starts. */
parentPort?.on("message", ({ body, headerLength }: DecodeJob) => {
  let answer: DecodeAnswer;
  let buffers: ArrayBuffer[] = [];
  try {
    const request = decodeInferRequest(body, headerLength);
    answer = { request };
    buffers = buffersOf(request.inputs);
  } catch (thrown) {
    const known = thrown instanceof NaruError ? thrown : undefined;
    answer = {
      code: known?.code ?? "InternalError",
      message: messageOf(thrown),
      remedy: known?.remedy ?? "Report it as a fault of Naru.",
      status: known?.status ?? 500,
    };
  }
  parentPort?.postMessage(answer, buffers);
});
