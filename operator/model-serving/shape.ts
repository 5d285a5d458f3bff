import { z } from "zod";
import { type ModelServingSpec, modelServingSpec } from "../../crds/model-serving.ts";
import { sameJson } from "../engine/canonical.ts";
import { connectionsOf } from "./connections.ts";
import { defined } from "./defined.ts";

/**
 * The part of `spec` that shapes a serving pod, as it was written. Replicas, autoscaling, canary steps and the like are
 * not in it: to change them restarts nothing.
 */
export type Shape = Readonly<Record<string, unknown>>;

export function shapeOf(spec: ModelServingSpec): Shape {
  const { model, container, graph, server, pod, availability, ingress, termination } = spec;
  const topologySpread = availability?.topologySpread;
  return defined({
    model: model === undefined ? undefined : cloudPart(model),
    container,
    graph,
    server,
    pod,
    availability: topologySpread === undefined ? undefined : { topologySpread },
    ingress,
    termination,
  }) as Shape;
}

/** Variants are for robots; the cloud's pods serve `uri`, `files` or `image`. */
function cloudPart(
  model: NonNullable<ModelServingSpec["model"]>,
): Omit<NonNullable<ModelServingSpec["model"]>, "variants"> {
  const { variants: _, ...served } = model;
  return served;
}

/**
 * Whether pods of a kept shape serve the one that is asked for as well. What is kept was written by the operator of its
 * day, whose schema may have had fewer defaults than today's, or more fields: an upgrade, or the way back, must restart
 * no pod. So both are read by today's schema, and what follows from a profile is compared as it follows today.
 */
export function likeShape(asked: Shape): (kept: Shape) => boolean {
  let meaning: unknown;
  return (kept) => {
    // As nearly always; to read a shape costs a sixth of a reconcile.
    if (sameJson(kept, asked)) return true;
    meaning ??= meaningOf(asked);
    return sameJson(meaningOf(kept), meaning);
  };
}

function meaningOf(shape: Shape): unknown {
  const parts = readKnown(shape);
  // Of a schema that today's can't make sense of: it is what it says, and nothing else is like it.
  if (parts === undefined) return shape;
  const { ingress, termination, availability, ...pods } = parts;
  return defined({
    ...pods,
    topologySpread: availability?.topologySpread ?? "Preferred",
    connections: connectionsOf({ ingress, termination, server: pods.server }),
  });
}

const { model, container, graph, server, pod, availability, ingress, termination } = modelServingSpec.shape;
const schema = z.object({ model, container, graph, server, pod, availability, ingress, termination });

/** As today's schema completes it, without the fields that it does not know. */
function readKnown(shape: Shape): z.output<typeof schema> | undefined {
  const first = schema.safeParse(shape);
  if (first.success) return first.data;
  const { issues } = first.error;
  const unknown = issues.flatMap((issue) => (issue.code === "unrecognized_keys" ? [issue] : []));
  if (unknown.length < issues.length) return undefined;
  const known = structuredClone(shape);
  for (const { path, keys } of unknown) {
    const holder = path.reduce<unknown>((at, step) => (at as Record<PropertyKey, unknown>)[step], known);
    for (const key of keys) delete (holder as Record<string, unknown>)[key];
  }
  return schema.safeParse(known).data;
}
