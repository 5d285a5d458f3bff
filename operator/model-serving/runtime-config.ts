import type { z } from "zod";
import type { ModelServingSpec } from "../../crds/model-serving.ts";
import type { FetchConfig, fetchConfig } from "../../lib/config/fetch.ts";
import type { InferenceStep, inferenceConfig, inferenceModel } from "../../lib/config/inference.ts";
import { nanos } from "../engine/quantity.ts";
import { type Connections, httpConfigOf } from "./connections.ts";
import { type Defined, defined } from "./defined.ts";
import { filesOf, type Model, modelDigest, modelDirectory } from "./model-source.ts";

type Step = NonNullable<NonNullable<ModelServingSpec["server"]>["preprocess" | "postprocess"]>[number];
type Steps = readonly Step[] | undefined;

/** `inference.json`, without the revision that it is part of. */
export type InferenceInput = Defined<z.input<typeof inferenceConfig>>;
export type FetchInput = Defined<z.input<typeof fetchConfig>>;

/** A model as the inference server is to load it. */
export interface ServedModel {
  /** Its name in URLs. */
  readonly name: string;
  readonly model: Model;
  readonly preprocess: Steps;
  readonly postprocess: Steps;
}

export function inferenceInput(
  models: readonly ServedModel[],
  spec: ModelServingSpec,
  connections: Connections,
): InferenceInput {
  const { server } = spec;
  return defined({
    models: models.map((served) => inferenceModelOf(served, server)),
    modelControl: server?.modelControl ?? "None",
    requestTimeoutMilliseconds: connections.requestTimeoutMilliseconds,
    maxRequestBytes: connections.maxRequestBytes,
    maxQueuedRequests: server?.maxQueuedRequests ?? 1024,
    http: httpConfigOf(connections),
  });
}

function inferenceModelOf(
  served: ServedModel,
  server: ModelServingSpec["server"],
): Defined<z.input<typeof inferenceModel>> {
  const { name, model } = served;
  const files = filesOf(model);
  // A model that its image holds lies where its author put it; a downloaded one in the directory of its digest.
  const place = (path: string) => (model.image === undefined ? `${modelDirectory(model)}/${path}` : path);
  const base = {
    name,
    path: place(files[0]?.path ?? model.path ?? "model.onnx"),
    files: Object.fromEntries(files.slice(1).map((file) => [file.path, place(file.path)])),
    preprocess: (served.preprocess ?? []).map(stepOf),
    postprocess: (served.postprocess ?? []).map(stepOf),
  };
  if (server === undefined) return defined(base);
  const { batching, execution, workers, threads, warmupRuns } = server;
  return defined({ ...base, batching, execution, workers, threads, warmupRuns });
}

/** The same step; numbers that the resource holds as decimal text become numbers. */
function stepOf(step: Step): Defined<InferenceStep> {
  const { normalize, ...rest } = step as Partial<Record<keyof InferenceStep, unknown>> & {
    normalize?: { scale?: string; mean?: string[]; std?: string[] };
  };
  if (normalize === undefined) return defined(rest) as Defined<InferenceStep>;
  const { scale, mean, std } = normalize;
  return defined({
    normalize: {
      ...normalize,
      scale: scale === undefined ? undefined : Number(scale),
      mean: mean?.map(Number),
      std: std?.map(Number),
    },
  }) as Defined<InferenceStep>;
}

/** `fetch.json` for models that come from one source with one set of credentials. */
export function fetchInput(models: readonly Model[]): FetchInput {
  const [first] = models;
  const files = models.flatMap((model) =>
    filesOf(model).map(({ path, uri, sha256 }) => ({
      path: `${modelDirectory(model)}/${path}`,
      uri,
      sha256,
    })),
  );
  // Two nodes may serve one model; a file is fetched once.
  const once = new Map(files.map((file) => [file.path, file]));
  const signatures = models.flatMap((model) =>
    model.signature === undefined ? [] : [{ digest: modelDigest(model), uri: model.signature.uri }],
  );
  return defined({
    files: [...once.values()],
    signatures: signatures.length === 0 ? undefined : signatures,
    maxCacheBytes: cacheBytes(first),
    s3: first?.s3 as FetchConfig["s3"] | undefined,
  });
}

/** `cache.sizeLimit` in bytes; undefined where there is none, or one that is no size. */
function cacheBytes(model: Model | undefined): number | undefined {
  const limit = nanos(model?.cache?.sizeLimit);
  if (limit === undefined || limit <= 0n) return undefined;
  return Math.min(Math.max(Number(limit / 1_000_000_000n), 1), Number.MAX_SAFE_INTEGER);
}
