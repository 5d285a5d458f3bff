import { edgeName, type StructureProblem } from "../../../lib/graph/structure.ts";
import type { TensorMetadata } from "../../../lib/v2/types.ts";
import { carried, type GraphPlan, type PlannedEdge, type Signature } from "./plan.ts";
import { requestTensors } from "./request-tensors.ts";
import { supplyProblems } from "./supply.ts";
import { describe, fits, narrowed } from "./tensor-type.ts";

export interface GraphFit {
  /** Empty: every edge's tensors fit. */
  readonly problems: readonly StructureProblem[];
  /** What the graph as a whole takes and answers, for its own V2 metadata. */
  readonly signature: Signature;
}

/**
 * Whether each edge's tensors fit what its node takes: names, datatypes, and shapes, in which -1 fits anything.
 * `models` holds the V2 metadata of the nodes that have a model, by position; the others pass tensors on.
 */
export function fitGraph(plan: GraphPlan, models: readonly (Signature | undefined)[]): GraphFit {
  const problems: StructureProblem[] = [];
  const request = requestTensors(plan, models, problems);
  const produced: (readonly TensorMetadata[])[] = plan.nodes.map(() => []);
  for (const node of plan.order) {
    const signature = models[node];
    for (const edge of plan.entering[node] ?? []) {
      checkEdge(edge, produced[edge.from] ?? [], request, signature, problems);
    }
    produced[node] =
      signature?.outputs ??
      (node === plan.entry ? request : passedOn(plan, node, produced, request, problems));
  }
  if (problems.length === 0) problems.push(...supplyProblems(plan, models, produced, request));
  return { problems, signature: { inputs: request, outputs: answered(plan, produced) } };
}

function checkEdge(
  planned: PlannedEdge,
  outputs: readonly TensorMetadata[],
  request: readonly TensorMetadata[],
  target: Signature | undefined,
  problems: StructureProblem[],
): void {
  const { edge } = planned;
  const at = edgeName(edge);
  for (const { from, to, source } of edge.tensors) {
    if (source !== "Request" && !outputs.some((tensor) => tensor.name === from)) {
      problems.push({
        at,
        message: `edge ${at}: "${edge.from}" answers no tensor "${from}"`,
        remedy: `name one of its outputs: ${names(outputs)}; or set source: Request for a tensor of the request`,
      });
    }
    if (target !== undefined && !target.inputs.some((tensor) => tensor.name === to)) {
      problems.push({
        at,
        message: `edge ${at}: "${edge.to}" takes no tensor "${to}"`,
        remedy: `name one of its inputs: ${names(target.inputs)}`,
      });
    } else if (source === "Request" && !request.some((tensor) => tensor.name === from)) {
      problems.push({
        at,
        message: `edge ${at}: no model takes the request's tensor "${from}", so its type is not known`,
        remedy: `lead "${to}" from "${edge.to}" to a model that takes it, or remove it from the edge`,
      });
    }
  }
  if (edge.when?.output !== undefined && !outputs.some((tensor) => tensor.name === edge.when?.output)) {
    problems.push({
      at,
      message: `edge ${at}: its condition is over an output "${edge.when.output}" that "${edge.from}" does not answer`,
      remedy: `name one of its outputs: ${names(outputs)}`,
    });
  }
  if (target === undefined) return;
  let taken = 0;
  for (const { tensor, inRequest } of carried(edge, outputs, request)) {
    const input = target.inputs.find((one) => one.name === tensor.name);
    if (input === undefined) continue;
    taken += 1;
    if (!fits(tensor, input)) {
      const what = inRequest === undefined ? `"${tensor.name}"` : `the request's tensor "${inRequest}"`;
      problems.push({
        at,
        message: `edge ${at}: ${what} arrives as ${describe(tensor)}, but "${edge.to}" takes ${describe(input)}`,
        remedy: "use models whose tensors fit, or put a step between them",
      });
    }
  }
  if (taken === 0) {
    problems.push({
      at,
      message: `edge ${at}: none of the outputs of "${edge.from}" (${names(outputs)}) is an input of "${edge.to}" (${names(target.inputs)})`,
      remedy: "rename one on the edge (tensors: from, to), or name a tensor of the request (source: Request)",
    });
  }
}

/** What a node without a model passes on: what arrives over all its edges, one entry a name and one type a name. */
function passedOn(
  plan: GraphPlan,
  node: number,
  produced: readonly (readonly TensorMetadata[])[],
  request: readonly TensorMetadata[],
  problems: StructureProblem[],
): readonly TensorMetadata[] {
  const byName = new Map<string, TensorMetadata>();
  const combines = plan.nodes[node]?.combine !== undefined;
  for (const { edge, from } of plan.entering[node] ?? []) {
    for (const { tensor } of carried(edge, produced[from] ?? [], request)) {
      const known = byName.get(tensor.name);
      // Without a combination the two may still never meet in one request: supplyProblems judges that.
      if (known !== undefined && combines && !fits(known, tensor)) {
        problems.push({
          at: edgeName(edge),
          message: `edge ${edgeName(edge)}: "${tensor.name}" arrives as ${describe(tensor)}, over another edge as ${describe(known)}`,
          remedy: "combine outputs of the same type and shape",
        });
      }
      byName.set(tensor.name, known === undefined ? tensor : narrowed(known, tensor));
    }
  }
  return [...byName.values()];
}

/** Outputs of the nodes that no edge leaves; of one name, one. */
function answered(plan: GraphPlan, produced: readonly (readonly TensorMetadata[])[]): TensorMetadata[] {
  const union = new Map<string, TensorMetadata>();
  for (const [node] of plan.nodes.entries()) {
    if ((plan.leaving[node] ?? []).length > 0) continue;
    for (const tensor of produced[node] ?? []) if (!union.has(tensor.name)) union.set(tensor.name, tensor);
  }
  return [...union.values()];
}

function names(tensors: readonly TensorMetadata[]): string {
  return tensors.length === 0 ? "none" : tensors.map((tensor) => `"${tensor.name}"`).join(", ");
}
