import type { ModelServingSpec } from "../../../crds/model-serving.ts";
import { structureProblems } from "../../../lib/graph/structure.ts";
import type { Refusal } from "../plan.ts";

/** What CEL can't say of a spec. The first reason found is told; undefined: it can be carried out. */
export function refusalOf(spec: ModelServingSpec): Refusal | undefined {
  for (const check of [structure, images]) {
    const refusal = check(spec);
    if (refusal !== undefined) return refusal;
  }
  return undefined;
}

/** A cycle, a dangling edge, no entry, a node that no request reaches, a choice that can't be made. */
function structure({ graph }: ModelServingSpec): Refusal | undefined {
  if (graph === undefined) return undefined;
  const [first, ...others] = structureProblems({ ...graph, edges: graph.edges ?? [] });
  if (first === undefined) return undefined;
  const more = others.length === 0 ? "" : ` (and ${others.length} more)`;
  return { reason: "InvalidGraph", message: `${first.message}: ${first.remedy}${more}` };
}

/** The models of a graph share pods, and a pod has one serving image: one with a model inside excludes all others. */
function images({ graph }: ModelServingSpec): Refusal | undefined {
  const models = (graph?.nodes ?? []).flatMap(({ name, model }) =>
    model === undefined ? [] : [{ name, image: model.image }],
  );
  const baked = models.find(({ image }) => image !== undefined);
  const other = models.find(({ image }) => image !== baked?.image);
  if (baked === undefined || other === undefined) return undefined;
  return {
    reason: "InvalidGraph",
    message: `the nodes "${baked.name}" and "${other.name}" share pods, and ${baked.image} holds only its own model: give both models by uri or files, or serve one by a ModelServing of its own`,
  };
}
