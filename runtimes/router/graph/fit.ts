import { edgeName, type StructureProblem } from "../../../lib/graph/structure.ts";
import type { TensorMetadata } from "../../../lib/v2/types.ts";
import { type Combination, combines } from "./combine.ts";
import { type GraphPlan, type PlannedEdge, renamed, type Signature } from "./plan.ts";
import { supplyProblems } from "./supply.ts";

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
  const wanted = wantedInputs(plan, models, problems);
  const produced: (readonly TensorMetadata[])[] = plan.nodes.map(() => []);
  for (const node of plan.order) {
    const signature = models[node];
    for (const edge of plan.entering[node] ?? []) {
      checkEdge(edge, produced[edge.from] ?? [], signature, problems);
    }
    const passed =
      node === plan.entry ? (wanted[node] ?? []) : arriving(plan, node, produced, problems, signature);
    produced[node] = signature?.outputs ?? passed;
  }
  if (problems.length === 0) problems.push(...supplyProblems(plan, models, produced));
  return {
    problems,
    signature: {
      inputs: models[plan.entry]?.inputs ?? wanted[plan.entry] ?? [],
      outputs: answered(plan, produced),
    },
  };
}

/** -1 is a dimension that each request chooses. */
export function shapesFit(a: readonly number[], b: readonly number[]): boolean {
  return (
    a.length === b.length && a.every((dimension, i) => dimension === -1 || b[i] === -1 || dimension === b[i])
  );
}

/**
 * What a node without a model must be given so that those behind it have what they take: worked out from the
 * end. Only for the entry is it more than a hint, since nothing else says what a request must hold.
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
    for (const edge of plan.leaving[node] ?? []) {
      for (const tensor of wanted[edge.to] ?? []) {
        const name = edge.edge.tensors.find((rename) => rename.to === tensor.name)?.from ?? tensor.name;
        const known = union.get(name);
        if (known === undefined) union.set(name, { ...tensor, name });
        else if (node === plan.entry && !fits(known, tensor)) {
          problems.push({
            at: edgeName(edge.edge),
            message: `edge ${edgeName(edge.edge)}: the request's tensor "${name}" would have to be ${describe(known)} and ${describe(tensor)}`,
            remedy: "rename it on one of the edges, so that the request holds both",
          });
        }
      }
    }
    wanted[node] = [...union.values()];
  }
  return wanted;
}

function checkEdge(
  planned: PlannedEdge,
  outputs: readonly TensorMetadata[],
  target: Signature | undefined,
  problems: StructureProblem[],
): void {
  const { edge } = planned;
  const at = edgeName(edge);
  for (const rename of edge.tensors) {
    if (!outputs.some((tensor) => tensor.name === rename.from)) {
      problems.push({
        at,
        message: `edge ${at}: "${edge.from}" answers no tensor "${rename.from}"`,
        remedy: `name one of its outputs: ${names(outputs)}`,
      });
    }
    if (target !== undefined && !target.inputs.some((tensor) => tensor.name === rename.to)) {
      problems.push({
        at,
        message: `edge ${at}: "${edge.to}" takes no tensor "${rename.to}"`,
        remedy: `name one of its inputs: ${names(target.inputs)}`,
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
  for (const tensor of outputs) {
    for (const name of renamed(edge, tensor.name)) {
      const input = target.inputs.find((one) => one.name === name);
      if (input === undefined) continue;
      taken += 1;
      if (!fits(tensor, input)) {
        problems.push({
          at,
          message: `edge ${at}: "${name}" arrives as ${describe(tensor)}, but "${edge.to}" takes ${describe(input)}`,
          remedy: "use models whose tensors fit, or put a step between them",
        });
      }
    }
  }
  if (taken === 0) {
    problems.push({
      at,
      message: `edge ${at}: none of the outputs of "${edge.from}" (${names(outputs)}) is an input of "${edge.to}" (${names(target.inputs)})`,
      remedy: "rename one on the edge (tensors: from, to)",
    });
  }
}

/** What arrives at a node over all its edges, one entry a name; tells what can't be combined. */
function arriving(
  plan: GraphPlan,
  node: number,
  produced: readonly (readonly TensorMetadata[])[],
  problems: StructureProblem[],
  signature: Signature | undefined,
): readonly TensorMetadata[] {
  const byName = new Map<string, TensorMetadata>();
  const combination = plan.nodes[node]?.combine;
  for (const { edge, from } of plan.entering[node] ?? []) {
    for (const tensor of produced[from] ?? []) {
      for (const name of renamed(edge, tensor.name)) {
        const known = byName.get(name);
        if (known === undefined) {
          byName.set(name, { ...tensor, name });
        } else if (signature === undefined) {
          problems.push(...combinationProblems(edgeName(edge), name, known, tensor, combination));
          byName.set(name, {
            ...known,
            shape: known.shape.map((dim, i) => (dim === -1 ? (tensor.shape[i] ?? -1) : dim)),
          });
        }
      }
    }
  }
  return [...byName.values()];
}

function combinationProblems(
  at: string,
  name: string,
  known: TensorMetadata,
  tensor: TensorMetadata,
  combination: Combination | undefined,
): StructureProblem[] {
  // Without a combination the two may still never meet in one request: supplyProblems judges that.
  if (combination === undefined) return [];
  if (!fits(known, tensor)) {
    return [
      {
        at,
        message: `edge ${at}: "${name}" arrives as ${describe(tensor)}, over another edge as ${describe(known)}`,
        remedy: "combine outputs of the same type and shape",
      },
    ];
  }
  if (combines(combination, tensor.datatype)) return [];
  return [
    {
      at,
      message: `edge ${at}: ${tensor.datatype} tensors have no ${combination} ("${name}")`,
      remedy: "combine numeric outputs; a mean takes floating-point ones",
    },
  ];
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

function fits(a: TensorMetadata, b: TensorMetadata): boolean {
  return a.datatype === b.datatype && shapesFit(a.shape, b.shape);
}

function describe(tensor: TensorMetadata): string {
  return `${tensor.datatype} [${tensor.shape.join(", ")}]`;
}

function names(tensors: readonly TensorMetadata[]): string {
  return tensors.length === 0 ? "none" : tensors.map((tensor) => `"${tensor.name}"`).join(", ");
}
