import { edgeName, type StructureProblem } from "../../../lib/graph/structure.ts";
import type { TensorMetadata } from "../../../lib/v2/types.ts";
import type { GraphPlan, Signature } from "./plan.ts";
import { describe, fits, narrowed } from "./tensor-type.ts";

/**
 * What every request must hold: what the entry takes, and what edges name with `source: Request`, of the type
 * that fits all who take it. Where two want it differently, the first is kept, and the edge to the other is
 * refused when it is checked.
 */
export function requestTensors(
  plan: GraphPlan,
  models: readonly (Signature | undefined)[],
  problems: StructureProblem[],
): readonly TensorMetadata[] {
  const wanted = wantedInputs(plan, models, problems);
  const request = new Map((wanted[plan.entry] ?? []).map((tensor) => [tensor.name, tensor]));
  for (const { edge, to: target } of plan.edges) {
    for (const { from, to, source } of edge.tensors) {
      const tensor = (wanted[target] ?? []).find(({ name }) => name === to);
      if (source !== "Request" || tensor === undefined) continue;
      const known = request.get(from);
      if (known === undefined) request.set(from, { ...tensor, name: from });
      else if (fits(known, tensor)) request.set(from, narrowed(known, tensor));
    }
  }
  return [...request.values()];
}

/**
 * What a node without a model must be given so that those behind it have what they take: worked out from the
 * end. Only for tensors of the request is it more than a hint, since nothing else says what a request must hold.
 */
function wantedInputs(
  plan: GraphPlan,
  models: readonly (Signature | undefined)[],
  problems: StructureProblem[],
): (readonly TensorMetadata[])[] {
  const wanted: (readonly TensorMetadata[])[] = plan.nodes.map(() => []);
  for (const node of plan.order.toReversed()) {
    const signature = models[node];
    if (signature !== undefined) {
      wanted[node] = signature.inputs;
      continue;
    }
    const union = new Map<string, TensorMetadata>();
    for (const { edge, to } of plan.leaving[node] ?? []) {
      for (const tensor of wanted[to] ?? []) {
        const rename = edge.tensors.find((one) => one.to === tensor.name);
        // The edge itself brings it from the request.
        if (rename?.source === "Request") continue;
        const name = rename?.from ?? tensor.name;
        const known = union.get(name);
        if (known === undefined) union.set(name, { ...tensor, name });
        else if (node === plan.entry && !fits(known, tensor)) {
          problems.push({
            at: edgeName(edge),
            message: `edge ${edgeName(edge)}: the request's tensor "${name}" would have to be ${describe(known)} and ${describe(tensor)}`,
            remedy: "rename it on one of the edges, so that the request holds both",
          });
        }
      }
    }
    wanted[node] = [...union.values()];
  }
  return wanted;
}
