import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { InferenceConfig, InferenceModel } from "../../lib/config/inference.ts";
import { messageOf, NaruError } from "../../lib/errors.ts";
import type { Logger } from "../../lib/telemetry/logger.ts";
import { invalid, quote } from "../../lib/v2/invalid.ts";
import { openModel } from "./execution/open-model.ts";
import { LoadedModel, notReady } from "./loaded-model.ts";
import type { ModelRepository, ModelStatistics, RepositoryEntry, ServedModel } from "./model.ts";
import type { CompiledSteps } from "./steps/compile.ts";

interface Entry {
  readonly model: InferenceModel;
  state: RepositoryEntry["state"];
  reason: string;
  loaded: LoadedModel | undefined;
  /** Loads and unloads of one model follow each other. */
  turn: Promise<void>;
}

/** The declared models of one server, and which of them are loaded. */
export class Repository implements ModelRepository {
  readonly #config: InferenceConfig;
  readonly #directory: string;
  readonly #log: Logger;
  readonly #entries: ReadonlyMap<string, Entry>;

  /** `directory`: NARU_MODELS_DIR. */
  constructor(config: InferenceConfig, directory: string, log: Logger) {
    this.#config = config;
    this.#directory = directory;
    this.#log = log;
    this.#entries = new Map(
      config.models.map((model) => [
        model.name,
        {
          model,
          state: model.onDemand ? "UNAVAILABLE" : "LOADING",
          reason: model.onDemand ? "waits for a load request" : "",
          loaded: undefined,
          turn: Promise.resolve(),
        },
      ]),
    );
    if (this.#entries.size !== config.models.length) {
      throw new NaruError({
        code: "InvalidConfig",
        message: "two models have the same name",
        remedy: "Give each model of a server its own name.",
      });
    }
  }

  /** Loads what is not on demand, one after the other. @throws NaruError InvalidModel, UnsupportedTensor */
  async start(): Promise<void> {
    for (const entry of this.#entries.values()) if (!entry.model.onDemand) await this.#load(entry);
  }

  async close(): Promise<void> {
    await Promise.all([...this.#entries.values()].map((entry) => entry.loaded?.close()));
  }

  get ready(): boolean {
    return [...this.#entries.values()].every(
      ({ state, model }) => state === "READY" || (model.onDemand && state !== "LOADING"),
    );
  }

  get(name: string, version?: string): ServedModel {
    const { loaded, model, state, reason } = this.#entry(name);
    if (version !== undefined && version !== model.version) {
      throw invalid(
        "UnknownVersion",
        `model ${quote(name)} has no version ${quote(version)}`,
        `ask for version ${quote(model.version)}, or leave the version out`,
        404,
      );
    }
    if (loaded !== undefined) return loaded;
    if (state === "LOADING") throw notReady(name);
    throw invalid(
      "ModelNotLoaded",
      `model ${quote(name)} is not loaded${reason === "" ? "" : `: ${reason}`}`,
      "load it by /v2/repository/models/NAME/load",
      404,
    );
  }

  /** The loaded models themselves, for metrics. */
  *loaded(): Generator<LoadedModel> {
    for (const { loaded } of this.#entries.values()) if (loaded !== undefined) yield loaded;
  }

  statistics(name?: string, version?: string): readonly ModelStatistics[] {
    if (name !== undefined) return [this.get(name, version).statistics()];
    return [...this.loaded()].map((model) => model.statistics());
  }

  index(): readonly RepositoryEntry[] {
    return [...this.#entries.values()].map(({ model, state, reason }) => ({
      name: model.name,
      version: model.version,
      state,
      reason,
    }));
  }

  async load(name: string): Promise<void> {
    const entry = this.#controlled(name);
    await this.#inTurn(entry, () => (entry.loaded === undefined ? this.#load(entry) : Promise.resolve()));
  }

  async unload(name: string): Promise<void> {
    const entry = this.#controlled(name);
    await this.#inTurn(entry, async () => {
      const { loaded } = entry;
      if (loaded === undefined) return;
      entry.loaded = undefined;
      entry.state = "UNLOADING";
      await loaded.close();
      entry.state = "UNAVAILABLE";
      entry.reason = "unloaded";
      this.#log.info({ model: name }, "model unloaded");
    });
  }

  async #inTurn(entry: Entry, act: () => Promise<void>): Promise<void> {
    const turn = entry.turn.then(act, act);
    entry.turn = turn;
    await turn;
  }

  #entry(name: string): Entry {
    const entry = this.#entries.get(name);
    if (entry !== undefined) return entry;
    throw invalid(
      "UnknownModel",
      `there is no model ${quote(name)}`,
      `ask for one of: ${[...this.#entries.keys()].join(", ")}`,
      404,
    );
  }

  #controlled(name: string): Entry {
    if (this.#config.modelControl !== "Explicit") {
      throw invalid(
        "ModelControlDisabled",
        "models are not loaded and unloaded by request",
        "set server.modelControl: Explicit in the ModelServing",
      );
    }
    return this.#entry(name);
  }

  async #load(entry: Entry): Promise<void> {
    const { model } = entry;
    entry.state = "LOADING";
    entry.reason = "";
    const began = performance.now();
    try {
      // Before the session: what fails here must leave no memory and no threads of one behind.
      const steps = await this.#steps(model);
      const labels = await this.#labels(model);
      const open = await openModel(join(this.#directory, model.path), model);
      entry.loaded = new LoadedModel({
        model,
        open,
        requestTimeoutMilliseconds: this.#config.requestTimeoutMilliseconds,
        maxQueuedRequests: this.#config.maxQueuedRequests,
        ...steps,
        ...labels,
      });
      entry.state = "READY";
      const { placement, findings } = open;
      this.#log.info(
        {
          model: model.name,
          version: model.version,
          milliseconds: Math.round(performance.now() - began),
          runs: placement.usual,
          rowMilliseconds: findings.rowMilliseconds,
          batchMilliseconds: findings.batchMilliseconds,
          maxBatchSize: placement.maxSize,
          ...(findings.batchable ? {} : { notBatched: findings.reason }),
        },
        "model loaded",
      );
    } catch (thrown) {
      entry.state = "UNAVAILABLE";
      entry.reason = messageOf(thrown);
      throw thrown;
    }
  }

  /** The steps' room is loaded only for a model that has some. */
  async #steps(model: InferenceModel): Promise<{ preprocess?: CompiledSteps; postprocess?: CompiledSteps }> {
    const { preprocess, postprocess } = model;
    if (preprocess.length === 0 && postprocess.length === 0) return {};
    const { compileSteps } = await import("./steps/compile.ts");
    const files = { readText: (name: string) => this.#readText(model, name) };
    return {
      ...(preprocess.length === 0 ? {} : { preprocess: await compileSteps(preprocess, files) }),
      ...(postprocess.length === 0 ? {} : { postprocess: await compileSteps(postprocess, files) }),
    };
  }

  /** `files.labels`: one label a line, for the classification extension. */
  async #labels(model: InferenceModel): Promise<{ labels?: readonly string[] }> {
    if (model.files.labels === undefined) return {};
    const text = await this.#readText(model, "labels");
    return { labels: text.replace(/\r?\n$/, "").split(/\r?\n/) };
  }

  async #readText(model: InferenceModel, name: string): Promise<string> {
    const path = Object.hasOwn(model.files, name) ? model.files[name] : undefined;
    try {
      if (path === undefined) throw new Error("it is not among the model's files");
      return await readFile(join(this.#directory, path), "utf8");
    } catch (thrown) {
      throw new NaruError({
        code: "MissingFile",
        message: `the file ${JSON.stringify(name)} of model ${model.name} cannot be read: ${messageOf(thrown)}`,
        remedy: "Name it in spec.model.files, with its digest.",
        cause: thrown,
      });
    }
  }
}
