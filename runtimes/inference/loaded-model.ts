import type { InferenceModel } from "../../lib/config/inference.ts";
import { NaruError } from "../../lib/errors.ts";
import { classify } from "../../lib/v2/classification.ts";
import { invalid } from "../../lib/v2/invalid.ts";
import type { InferRequest, InferResponse, Tensor } from "../../lib/v2/types.ts";
import { Batcher } from "./batcher.ts";
import type { OpenModel } from "./execution/open-model.ts";
import type { InferOptions, ModelConfig, ModelMetadata, ModelStatistics, ServedModel } from "./model.ts";
import { modelConfig, modelMetadata } from "./model-config.ts";
import { StatisticsRecorder } from "./statistics.ts";
import type { CompiledSteps } from "./steps/compile.ts";
import { answerOutputs, consumedNames, requestInputs } from "./steps/metadata.ts";
import { askedOutputs, fromSession, InputValidator } from "./validate.ts";

export interface LoadedModelOptions {
  readonly model: InferenceModel;
  readonly open: OpenModel;
  readonly requestTimeoutMilliseconds: number;
  readonly maxQueuedRequests: number;
  /** Absent where there are no steps: a request must not pay for what it does not use. */
  readonly preprocess?: CompiledSteps;
  readonly postprocess?: CompiledSteps;
  /** One label an index, for the classification extension. */
  readonly labels?: readonly string[];
}

const noParameters = Object.freeze({});

/** A model that answers requests. */
export class LoadedModel implements ServedModel {
  readonly name: string;
  readonly version: string;
  readonly metadata: ModelMetadata;
  readonly recorder = new StatisticsRecorder();
  ready = true;
  readonly #options: LoadedModelOptions;
  readonly #validator: InputValidator;
  readonly #config: ModelConfig;
  readonly #inline: Batcher | undefined;
  readonly #workers: Batcher;
  readonly #modelInputs: ReadonlySet<string>;
  readonly #modelOutputs: readonly string[];
  /** The model's outputs and what steps make, in the metadata's order. */
  readonly #outputs: ReadonlySet<string>;
  readonly #outputNames: string;
  /** What preprocessing used up. */
  readonly #consumed: ReadonlySet<string>;
  #inFlight = 0;
  #whenIdle: (() => void) | undefined;
  #closed: Promise<void> | undefined;

  constructor(options: LoadedModelOptions) {
    const { model, open } = options;
    this.#options = options;
    this.name = model.name;
    this.version = model.version;
    const own = modelMetadata(model, open.metadata);
    const before = options.preprocess?.steps ?? [];
    this.metadata = {
      ...own,
      inputs: requestInputs(before, own.inputs),
      outputs: answerOutputs(options.postprocess?.steps ?? [], own.outputs),
    };
    const { maxSize, estimate } = open.placement;
    this.#config = modelConfig(model, this.metadata, maxSize > 1 ? maxSize : 0);
    this.#validator = new InputValidator(open.metadata);
    this.#modelInputs = new Set(own.inputs.map(({ name }) => name));
    this.#modelOutputs = own.outputs.map(({ name }) => name);
    this.#outputs = new Set(this.metadata.outputs.map(({ name }) => name));
    this.#outputNames = [...this.#outputs].join(", ");
    this.#consumed = consumedNames(before);
    const shared = {
      maxSize,
      maxDelayMilliseconds: maxSize > 1 ? model.batching.maxDelayMicroseconds / 1000 : 0,
      estimate,
      statistics: this.recorder,
    };
    this.#inline =
      open.inline === undefined
        ? undefined
        : new Batcher({ ...shared, runner: open.inline, slots: Number.POSITIVE_INFINITY, holdsLoop: true });
    this.#workers = new Batcher({ ...shared, runner: open.workers, slots: model.workers, holdsLoop: false });
  }

  /** Requests that wait or run. */
  get inFlight(): number {
    return this.#inFlight;
  }

  config(): ModelConfig {
    return this.#config;
  }

  statistics(): ModelStatistics {
    return this.recorder.report(this.name, this.version);
  }

  async infer(request: InferRequest, options: InferOptions): Promise<InferResponse> {
    const arrived = performance.now();
    if (!this.ready) throw notReady(this.name);
    if (this.#inFlight >= this.#options.maxQueuedRequests) {
      const refusal = queueFull(this.name, this.#options.maxQueuedRequests);
      this.recorder.failed(0, Date.now(), refusal);
      throw refusal;
    }
    this.#inFlight += 1;
    try {
      const response = await this.#answer(request, options, arrived);
      this.recorder.succeeded(performance.now() - arrived, Date.now());
      return response;
    } catch (thrown) {
      this.recorder.failed(performance.now() - arrived, Date.now(), thrown);
      throw thrown;
    } finally {
      this.#inFlight -= 1;
      if (this.#inFlight === 0) this.#whenIdle?.();
    }
  }

  /** Takes no new requests, finishes those that it has, and gives its memory back. Called again, the same promise. */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    this.ready = false;
    if (this.#inFlight > 0) {
      await new Promise<void>((resolve) => {
        this.#whenIdle = resolve;
      });
    }
    await this.#options.open.close();
  }

  async #answer(
    request: InferRequest,
    { signal, deadline }: InferOptions,
    arrived: number,
  ): Promise<InferResponse> {
    const { preprocess, postprocess } = this.#options;
    const asked = askedOutputs(request, this.#outputs, this.#outputNames);
    const tensors =
      preprocess === undefined ? request.inputs : await this.#preprocess(preprocess, request.inputs);
    const { inputs, rows, shapeKey } = this.#validator.validate(tensors);
    // Steps may need any output of the model; without them only what is asked for is computed.
    const needed = asked.length === 0 || postprocess !== undefined ? this.#modelOutputs : asked;
    const single = this.#options.open.placement.maxSize === 1 || rows === undefined || rows === 0;
    const long = this.#inline === undefined || (rows ?? 1) > this.#options.open.placement.inlineRows;
    const batcher = long ? this.#workers : (this.#inline ?? this.#workers);
    const results = await batcher.submit({
      inputs,
      rows: single ? undefined : rows,
      key: needed === this.#modelOutputs ? shapeKey : `${shapeKey}|${needed.join()}`,
      outputs: needed,
      arrived,
      deadline: this.#deadline(request, deadline, arrived),
      signal,
    });
    let outputs: readonly Tensor[] = results.map((tensor, index) => fromSession(needed[index] ?? "", tensor));
    if (postprocess !== undefined) outputs = await this.#postprocess(postprocess, outputs, asked);
    return {
      ...(request.id === undefined ? {} : { id: request.id }),
      modelName: this.name,
      modelVersion: this.version,
      outputs: this.#classified(request, outputs),
      parameters: noParameters,
    };
  }

  /** A request may carry the model's own inputs all the same: steps that find nothing of theirs do nothing. */
  async #preprocess(steps: CompiledSteps, inputs: readonly Tensor[]): Promise<readonly Tensor[]> {
    const tensors = await steps.run(inputs);
    return tensors.filter(({ name }) => this.#modelInputs.has(name) || !this.#consumed.has(name));
  }

  async #postprocess(
    steps: CompiledSteps,
    outputs: readonly Tensor[],
    asked: readonly string[],
  ): Promise<readonly Tensor[]> {
    const made = new Map((await steps.run(outputs)).map((tensor) => [tensor.name, tensor]));
    const names = asked.length === 0 ? [...this.#outputs] : asked;
    return names.flatMap((name) => made.get(name) ?? []);
  }

  #classified(request: InferRequest, outputs: readonly Tensor[]): readonly Tensor[] {
    if (request.outputs.length === 0) return outputs;
    return outputs.map((tensor) => {
      const count = request.outputs.find(({ name }) => name === tensor.name)?.classCount ?? 0;
      return count > 0 ? classify(tensor, count, this.#options.labels) : tensor;
    });
  }

  /** The earliest of the caller's, the server's and the request's own (`timeout`, microseconds, as in Triton). */
  #deadline(request: InferRequest, deadline: number | undefined, arrived: number): number {
    const limit = Math.min(
      deadline ?? Number.POSITIVE_INFINITY,
      arrived + this.#options.requestTimeoutMilliseconds,
    );
    const { timeout } = request.parameters;
    if (timeout === undefined || timeout === 0) return limit;
    if (!Number.isSafeInteger(timeout) || (timeout as number) < 0) {
      throw invalid("InvalidTimeout", "the timeout parameter is not a time", "send whole microseconds ≥ 0");
    }
    return Math.min(limit, arrived + (timeout as number) / 1000);
  }
}

export function notReady(name: string): NaruError {
  return new NaruError({
    code: "ModelNotReady",
    message: `model ${JSON.stringify(name)} is not loaded`,
    remedy: "Wait until its /ready answers 200.",
    status: 503,
  });
}

function queueFull(name: string, limit: number): NaruError {
  return new NaruError({
    code: "QueueFull",
    message: `model ${JSON.stringify(name)} has ${limit} requests waiting or running already`,
    remedy: "Try again after Retry-After, add replicas, or raise server.maxQueuedRequests.",
    status: 503,
  });
}
