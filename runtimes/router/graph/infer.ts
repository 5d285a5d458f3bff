import { NaruError } from "../../../lib/errors.ts";
import type { HeldBytes } from "../../../lib/http/body-budget.ts";
import { deadlineExceeded, TIMEOUT_HEADER } from "../../../lib/http/deadline.ts";
import { REQUEST_ID_HEADER } from "../../../lib/telemetry/logger.ts";
import { encodeInferRequest } from "../../../lib/v2/infer-request.ts";
import { decodeInferResponse } from "../../../lib/v2/infer-response.ts";
import type { InferRequest, InferResponse, Parameters, Tensor } from "../../../lib/v2/types.ts";
import { CallFailure, call } from "../call.ts";
import { type HoldLimits, unavailable } from "../hold.ts";
import type { CheckedGraph, NodeModel } from "./checked.ts";
import { executeGraph } from "./execute.ts";

export interface GraphCall {
  readonly graph: CheckedGraph;
  /** The name that the answer carries: the ModelServing's. */
  readonly model: string;
  readonly requestId: string;
  /** On the clock of `performance.now()`. One for the whole graph, however many nodes it passes. */
  readonly deadline: number;
  readonly maxBytes: number;
  readonly hold: HoldLimits | undefined;
  /** Counts what nodes are sent and answer, beside the request itself. */
  readonly held: HeldBytes;
  /** Aborts when the client leaves. */
  readonly signal: AbortSignal;
}

/** Said of the answer's encoding, not of the model: each hop has its own. */
const ENCODING_PARAMETERS: ReadonlySet<string> = new Set([
  "binary_data_output",
  "binary_data_size",
  "timeout",
]);

/**
 * Runs a V2 request through a graph. Rejects with NaruErrors that name the node, DeadlineExceeded, or the
 * signal's reason.
 */
export async function inferByGraph(request: InferRequest, context: GraphCall): Promise<InferResponse> {
  refuseUnknown(request, context.graph);
  const remaining = context.deadline - performance.now();
  if (remaining <= 0) throw deadlineExceeded();
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(deadlineExceeded()), remaining);
  const signal = AbortSignal.any([context.signal, late.signal]);
  const parameters = modelParameters(request.parameters);
  try {
    const outputs = await executeGraph(
      context.graph.plan,
      request,
      {
        takes: context.graph.takes,
        split: context.graph.split,
        call: async (node, inputs, inner) => {
          const model = context.graph.models[node];
          if (model === undefined) return inputs;
          const body = encodeInferRequest(
            { inputs, outputs: [], parameters: { ...parameters, binary_data_output: true } },
            { binary: true },
          );
          context.held.grow(body.body.length);
          try {
            return await callNode(model, body, context, inner);
          } finally {
            context.held.shrink(body.body.length);
          }
        },
      },
      signal,
    );
    return {
      ...(request.id === undefined ? {} : { id: request.id }),
      modelName: context.model,
      modelVersion: "1",
      outputs: requested(request, outputs),
      parameters: {},
    };
  } finally {
    clearTimeout(timer);
  }
}

async function callNode(
  node: NodeModel,
  encoded: ReturnType<typeof encodeInferRequest>,
  context: GraphCall,
  signal: AbortSignal,
): Promise<readonly Tensor[]> {
  const { gate } = node.backend;
  if (gate.closed && context.hold !== undefined) await gate.wait(context.hold, signal);
  try {
    return await callOnce(node, encoded, context, signal);
  } catch (error) {
    if (!(error instanceof CallFailure)) throw error;
    if (!error.sent && context.hold !== undefined) await gate.wait(context.hold, signal);
    else if (error.answered) throw broken(error);
    // A node's inference only reads, so it may be asked again; once, for a pooled connection that had died.
    try {
      return await callOnce(node, encoded, context, signal);
    } catch (again) {
      if (!(again instanceof CallFailure)) throw again;
      throw again.sent ? broken(again) : unavailable("no backend answers");
    }
  }
}

async function callOnce(
  node: NodeModel,
  encoded: ReturnType<typeof encodeInferRequest>,
  context: GraphCall,
  signal: AbortSignal,
): Promise<readonly Tensor[]> {
  const { body, headerLength } = encoded;
  const answer = await call(node.backend.http, {
    method: "POST",
    path: `/v2/models/${encodeURIComponent(node.model)}/infer`,
    headers: {
      "content-type": headerLength === undefined ? "application/json" : "application/octet-stream",
      ...(headerLength === undefined ? {} : { "inference-header-content-length": String(headerLength) }),
      [REQUEST_ID_HEADER]: context.requestId,
      [TIMEOUT_HEADER]: String(Math.max(1, Math.ceil(context.deadline - performance.now()))),
    },
    body,
    signal,
    maxBytes: context.maxBytes,
    held: context.held,
  });
  if (answer.status !== 200) throw refused(answer.status, answer.body);
  const length = answer.headers["inference-header-content-length"];
  try {
    return decodeInferResponse(answer.body, length === undefined ? undefined : Number(length)).outputs;
  } catch (error) {
    throw new NaruError({
      code: "BackendFailed",
      message: "its answer is no V2 inference response",
      remedy: "check that the node's backend speaks the Open Inference Protocol V2",
      status: 502,
      cause: error,
    });
  }
}

/** A backend's own words, cut: a V2 error says what is wrong with a tensor, not what is in it. */
function refused(status: number, body: Buffer): NaruError {
  const text = body.subarray(0, 2048).toString("utf8");
  const said = /"error"\s*:\s*"((?:[^"\\]|\\.)*)"/.exec(text)?.[1];
  return new NaruError({
    code: status < 500 ? "GraphNodeRefused" : "GraphNodeFailed",
    message: said === undefined ? `its backend answered ${status}` : said,
    remedy: status < 500 ? "send what the node's model takes" : "look at the node's own log and status",
    status,
  });
}

function broken(failure: CallFailure): NaruError {
  return new NaruError({
    code: "BackendFailed",
    message: "the backend's connection broke before its answer was there",
    remedy: "look at the restarts and the log of the node's pods",
    status: 502,
    cause: failure,
  });
}

/**
 * Names are judged before anything runs: at the entry an unknown input would be dropped silently. Shapes are
 * left to the node's model, which says it best.
 */
function refuseUnknown(request: InferRequest, graph: CheckedGraph): void {
  const { inputs, outputs } = graph.signature;
  for (const tensor of request.inputs) {
    if (!inputs.some((input) => input.name === tensor.name)) {
      throw new NaruError({
        code: "UnknownInput",
        message: `the graph takes no input "${tensor.name}"`,
        remedy: `send ${inputs.map((input) => `"${input.name}"`).join(", ")}`,
        status: 400,
      });
    }
  }
  const missing = inputs.find((input) => !request.inputs.some((tensor) => tensor.name === input.name));
  if (missing !== undefined) {
    throw new NaruError({
      code: "MissingInput",
      message: `the input "${missing.name}" is missing`,
      remedy: `send ${inputs.map((input) => `"${input.name}"`).join(", ")}`,
      status: 400,
    });
  }
  for (const wanted of request.outputs) {
    if (!outputs.some((output) => output.name === wanted.name)) throw unknownOutput(wanted.name);
    if (wanted.classCount !== undefined && wanted.classCount > 0) {
      throw new NaruError({
        code: "ClassificationUnsupported",
        message: `a graph does not classify its output "${wanted.name}"`,
        remedy: "give the graph's last node a topK and a labels step, or ask for the tensor",
        status: 400,
      });
    }
  }
}

/** What was asked for, in the order asked; all where nothing was. */
function requested(request: InferRequest, outputs: readonly Tensor[]): readonly Tensor[] {
  if (request.outputs.length === 0) return outputs;
  return request.outputs.map((wanted) => {
    const tensor = outputs.find((output) => output.name === wanted.name);
    // Declared by a node that this request did not pass.
    if (tensor === undefined) throw unknownOutput(wanted.name);
    return tensor;
  });
}

function unknownOutput(name: string): NaruError {
  return new NaruError({
    code: "UnknownOutput",
    message: `the graph answers no output "${name}" for this request`,
    remedy: "ask for outputs of the nodes at the end of the graph",
    status: 400,
  });
}

function modelParameters(parameters: Parameters): Parameters {
  return Object.fromEntries(Object.entries(parameters).filter(([name]) => !ENCODING_PARAMETERS.has(name)));
}
