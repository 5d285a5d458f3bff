import { NaruError } from "../../../lib/errors.ts";
import { frameHeaderBytes, sealFrame } from "../../../lib/grpc/frame.ts";
import { decodeModelInferRequest, idOfModelInferRequest } from "../../../lib/grpc/infer-request.ts";
import { encodeModelStreamInferResponse } from "../../../lib/grpc/infer-response.ts";
import type { GrpcCall, StreamMethod } from "../../../lib/grpc/server.ts";
import { GrpcStatus, outcomeOf } from "../../../lib/grpc/status.ts";
import type { StreamWriter } from "../../../lib/grpc/stream-messages.ts";
import { deadlineExceeded, parseGrpcTimeout } from "../../../lib/http/deadline.ts";
import { type InferSettings, infer } from "./infer.ts";
import type { OpenStreams } from "./open-streams.ts";

/** Requests of one stream that wait, run or wait to be sent; the client's next ones stay with the client. */
const maxInFlight = 64;

/** Triton's flag of a stream's request for telling which answer is its last: here, each answer is. */
const askFinal = "triton_enable_empty_final_response";
const isFinal = Object.freeze({ triton_final_response: true });

/**
 * ModelStreamInfer. Requests of a stream run at once, so that they batch, and are answered in their order; a request
 * that fails is answered by `error_message`, and the stream goes on.
 */
export function modelStreamInfer(
  settings: InferSettings,
  open: OpenStreams,
  onFault: (error: unknown) => void,
): StreamMethod {
  return async (messages, writer, call) => {
    const answers = new AnswersInOrder(writer);
    const answer = (message: Buffer) => answerTo(settings, message, call, onFault);
    const read = async () => {
      for await (const message of messages) {
        await answers.room();
        answers.add(answer(message), () => call.held.shrink(message.length));
      }
    };
    const end = await open.until(read(), callTimeout(call));
    if (end === "late") throw deadlineExceeded();
    await answers.sent();
    if (end === "drained") throw draining();
  };
}

function draining(): NaruError {
  return new NaruError({
    code: "ServerDraining",
    status: 503,
    message: "the server is going away; what the stream asked for is answered",
    remedy: "open a new stream: it reaches another server",
  });
}

function callTimeout({ headers }: GrpcCall): number | undefined {
  const header = headers["grpc-timeout"];
  return typeof header === "string" ? parseGrpcTimeout(header) : undefined;
}

/** Never rejects: what fails is an answer too. */
async function answerTo(
  settings: InferSettings,
  message: Buffer,
  call: GrpcCall,
  onFault: (error: unknown) => void,
): Promise<Buffer> {
  try {
    const asked = decodeModelInferRequest(message);
    const answer = await infer(settings, asked, call);
    const response =
      asked.request.parameters[askFinal] === true ? { ...answer, parameters: isFinal } : answer;
    return sealFrame(encodeModelStreamInferResponse({ response }, frameHeaderBytes));
  } catch (error) {
    const outcome = outcomeOf(error);
    if (outcome.code === GrpcStatus.INTERNAL) onFault(error);
    const failed = { error: outcome.message, id: idOfModelInferRequest(message) };
    return sealFrame(encodeModelStreamInferResponse(failed, frameHeaderBytes));
  }
}

/** Sends answers in the order in which their requests came, each when those before it are sent. */
class AnswersInOrder {
  readonly #writer: StreamWriter;
  #last: Promise<void> = Promise.resolve();
  #inFlight = 0;
  #wake: (() => void) | undefined;

  constructor(writer: StreamWriter) {
    this.#writer = writer;
  }

  /** Resolves when another request may be taken. For one caller. */
  async room(): Promise<void> {
    if (this.#inFlight < maxInFlight) return;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
  }

  /** `sent` is called when the answer has gone. */
  add(answer: Promise<Buffer>, sent: () => void): void {
    this.#inFlight += 1;
    const before = this.#last;
    this.#last = (async () => {
      const frame = await answer;
      await before;
      await this.#writer.write(frame);
      sent();
      this.#inFlight -= 1;
      this.#wake?.();
    })();
  }

  sent(): Promise<void> {
    return this.#last;
  }
}
