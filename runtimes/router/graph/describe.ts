import { NaruError } from "../../../lib/errors.ts";
import { LATENCY_BOUNDS_MS } from "../../../lib/telemetry/histogram.ts";
import { quote } from "../../../lib/v2/invalid.ts";
import type { TensorMetadata } from "../../../lib/v2/types.ts";
import type { Track } from "../routing.ts";
import type { CheckedGraph } from "./checked.ts";

/** What a graph says of itself under V2, in the shapes that Triton's clients read. */

const PLATFORM = "naru_graph";
/** A graph's revisions are told apart by the router; V2 sees the one version. */
const VERSION = "1";

export function serverMetadata() {
  return {
    name: "naru",
    version: "1",
    extensions: ["binary_tensor_data", "model_configuration", "statistics"],
  };
}

export function modelMetadata(model: string, { signature }: CheckedGraph) {
  return {
    name: model,
    versions: [VERSION],
    platform: PLATFORM,
    inputs: signature.inputs,
    outputs: signature.outputs,
  };
}

export function modelConfig(model: string, { signature }: CheckedGraph) {
  return {
    name: model,
    platform: PLATFORM,
    backend: "",
    version_policy: { latest: { num_versions: 1 } },
    max_batch_size: 0,
    input: signature.inputs.map(configTensor),
    output: signature.outputs.map(configTensor),
    instance_group: [],
    default_model_filename: "",
  };
}

/** Triton's statistics, as far as a router counts: since the generation was applied. */
export function modelStatistics(model: string, { counters }: Track) {
  const { requests, errors, latencyCounts } = counters.report();
  const ns = Math.round(totalMilliseconds(latencyCounts) * 1e6);
  const none = { count: 0, ns: 0 };
  const success = requests - errors;
  return {
    model_stats: [
      {
        name: model,
        version: VERSION,
        last_inference: 0,
        inference_count: success,
        execution_count: success,
        inference_stats: {
          success: { count: success, ns },
          fail: { count: errors, ns: 0 },
          queue: none,
          compute_input: none,
          compute_infer: none,
          compute_output: none,
          cache_hit: none,
          cache_miss: none,
        },
        batch_stats: [],
      },
    ],
  };
}

/** A model as a request names it; an empty version is any. */
interface Asked {
  readonly name: string;
  readonly version: string;
}

export function isThis({ name, version }: Asked, model: string): boolean {
  return name === model && (version === "" || version === VERSION);
}

/** @throws NaruError UnknownModel, UnknownVersion (404) for what is not this graph */
export function refuseOther(asked: Asked, model: string): void {
  if (isThis(asked, model)) return;
  if (asked.name !== model) {
    throw new NaruError({
      code: "UnknownModel",
      message: `there is no model ${quote(asked.name)}`,
      remedy: `ask for "${model}"`,
      status: 404,
    });
  }
  throw new NaruError({
    code: "UnknownVersion",
    message: `model "${model}" has no version ${quote(asked.version)}: a graph has the version ${VERSION} only`,
    remedy: "leave the version out",
    status: 404,
  });
}

export function invalidQuestion(path: string): NaruError {
  return new NaruError({
    code: "NotFound",
    message: `a graph does not answer ${path.slice(0, 128)}`,
    remedy: "ask for /v2/models/NAME, its /ready, /config or /stats",
    status: 404,
  });
}

function configTensor({ name, datatype, shape }: TensorMetadata) {
  return { name, data_type: datatype === "BYTES" ? "TYPE_STRING" : `TYPE_${datatype}`, dims: shape };
}

/** From the buckets' upper bounds: a bound itself, within a third of the truth. */
function totalMilliseconds(counts: readonly number[]): number {
  return counts.reduce((sum, count, i) => sum + count * (LATENCY_BOUNDS_MS[i] ?? 100_000), 0);
}
