import type { PodTemplateSpec } from "kubernetes-types/core/v1.js";
import type { ModelServingSpec } from "../../crds/model-serving.ts";
import { canonicalJson } from "../engine/canonical.ts";
import { type Revision as Kept, revisionOf } from "../engine/revisions.ts";
import { type Connections, connectionsOf } from "./connections.ts";
import { defined } from "./defined.ts";
import { type Graph, type Model, servedDigest } from "./model-source.ts";
import { inferencePod, type PodContext, userPod } from "./pod/serving-pod.ts";
import {
  type FetchInput,
  fetchInput,
  type InferenceInput,
  inferenceInput,
  type ServedModel,
} from "./runtime-config.ts";
import { likeShape, type Shape, shapeOf } from "./shape.ts";

/** Container of a graph node that runs in pods of its own. */
export interface StepPod {
  readonly node: string;
  readonly pod: PodTemplateSpec;
  readonly grpc: boolean;
}

/** What is kept of a revision: all that is needed to run it again after `spec` has moved on. */
export interface RevisionInput {
  /** Marks what this operator can read. */
  readonly format: "naru.dev/v1";
  /** The part of `spec` that shapes a serving pod; by it a revision is found again. */
  readonly shape: Shape;
  readonly runtimeImage: string;
  readonly modelDigest?: string;
  /** Pods of Naru's server, or of the user's; absent for a graph that has neither. */
  readonly pod?: PodTemplateSpec;
  /** Protocols that the pods speak. */
  readonly protocols: { readonly http: boolean; readonly grpc: boolean };
  readonly steps: readonly StepPod[];
  readonly graph?: Graph;
  readonly config?: { readonly inference: InferenceInput; readonly fetches: readonly FetchInput[] };
  /** The time-outs in force for it: a later release's profile may have others. Absent in what early builds kept. */
  readonly connections?: Connections;
  /** Whether the models outlive a pod, so that a new one does without their source. */
  readonly cached: boolean;
}

export interface Revision {
  readonly name: string;
  readonly input: RevisionInput;
}

/**
 * The revision that `spec` asks for. One that was kept is taken as it was, runtime image and rendered pods
 * included: an operator upgrade restarts no pod, and going back goes back to exactly what ran.
 *
 * @param runtimeImage asks for this very image, an explicit upgrade; absent: a kept revision's own, else the default.
 */
export function targetRevision(
  name: string,
  spec: ModelServingSpec,
  kept: readonly Kept[],
  defaultImage: string,
  runtimeImage?: string,
): Revision {
  const isLike = likeShape(shapeOf(spec));
  const known = kept
    .flatMap((revision) => readRevision(revision) ?? [])
    .findLast(
      ({ input }) =>
        isLike(input.shape) && (runtimeImage === undefined || input.runtimeImage === runtimeImage),
    );
  if (known !== undefined) return known;
  const input = revisionInput(name, spec, runtimeImage ?? defaultImage);
  return { name: revisionOf(input), input };
}

/** A kept revision, or undefined where it is not one that this operator wrote. */
export function readRevision({ name, input }: Kept): Revision | undefined {
  const marked = typeof input === "object" && input !== null && "format" in input;
  return marked && input.format === "naru.dev/v1" ? { name, input: input as RevisionInput } : undefined;
}

function revisionInput(name: string, spec: ModelServingSpec, runtimeImage: string): RevisionInput {
  const connections = connectionsOf(spec);
  const context: PodContext = { name, spec, connections, runtimeImage };
  const served = servedModels(name, spec);
  const models = served.map(({ model }) => model);
  const sources = sourcesOf(models);
  const downloads = sources.filter(([first]) => first?.image === undefined);
  const steps = (spec.graph?.nodes ?? []).flatMap(({ name: node, container }) =>
    container === undefined
      ? []
      : [{ node, pod: userPod(context, container), grpc: container.grpcPort !== undefined }],
  );
  const { container } = spec;
  const pod =
    container !== undefined
      ? userPod(context, container)
      : served.length > 0
        ? inferencePod(context, sources)
        : undefined;
  return defined({
    format: "naru.dev/v1" as const,
    shape: shapeOf(spec),
    runtimeImage,
    modelDigest: servedDigest(spec),
    pod,
    protocols:
      container === undefined
        ? { http: true, grpc: true }
        : { http: container.httpPort !== undefined, grpc: container.grpcPort !== undefined },
    steps,
    connections,
    graph: spec.graph,
    config:
      served.length === 0
        ? undefined
        : { inference: inferenceInput(served, spec, connections), fetches: downloads.map(fetchInput) },
    cached: models.every(
      (model) => model.image !== undefined || model.cache?.persistentVolumeClaim !== undefined,
    ),
  }) as RevisionInput;
}

/** The models that Naru's own server holds: the one, or those of a graph's nodes. */
function servedModels(name: string, spec: ModelServingSpec): ServedModel[] {
  const { model, graph, server } = spec;
  if (model !== undefined) {
    return [{ name, model, preprocess: server?.preprocess, postprocess: server?.postprocess }];
  }
  return (graph?.nodes ?? []).flatMap((node) =>
    node.model === undefined
      ? []
      : [
          {
            name: node.name,
            model: node.model,
            preprocess: node.preprocess,
            postprocess: node.postprocess,
          },
        ],
  );
}

/** Models grouped by how they are fetched: credentials are given for the whole of one download. */
function sourcesOf(models: readonly Model[]): Model[][] {
  const groups = Map.groupBy(models, ({ credentials, caBundle, s3, image, signature }) =>
    canonicalJson({ credentials, caBundle, s3, image, key: signature?.publicKeySecret }),
  );
  return [...groups.values()];
}
