import { edgeName, type StructureProblem } from "../../../lib/graph/structure.ts";
import type { TensorMetadata } from "../../../lib/v2/types.ts";
import { combines } from "./combine.ts";
import {
  type Carried,
  carried,
  type GraphPlan,
  type PlannedEdge,
  type Signature,
  sameOfRequest,
} from "./plan.ts";

/**
 * Beyond so many combinations of choices (switches and splitters), a node's supply is judged over all edges
 * together, and a combination that leaves an input out is found only when a request takes it.
 */
const MAX_SCENARIOS = 4096;

/**
 * Walks every combination of choices: in each, every activated model must get all its inputs, each once, and no
 * two activated ends may answer an output of one name.
 */
export function supplyProblems(
  plan: GraphPlan,
  models: readonly (Signature | undefined)[],
  produced: readonly (readonly TensorMetadata[])[],
  request: readonly TensorMetadata[],
): StructureProblem[] {
  const arriving = plan.edges.map(({ edge, from }) => carried(edge, produced[from] ?? [], request));
  const choosers = plan.order.filter(
    (node) =>
      (plan.nodes[node]?.routing === "Switch" || plan.nodes[node]?.routing === "Splitter") &&
      (plan.leaving[node] ?? []).length > 1,
  );
  const scenarios = choosers.reduce((product, node) => product * (plan.leaving[node] ?? []).length, 1);
  if (scenarios > MAX_SCENARIOS) return missing(plan, models, arriving, plan.edges);
  const found = new Map<string, StructureProblem>();
  for (let scenario = 0; scenario < scenarios; scenario += 1) {
    const active = activeEdges(plan, choosers, scenario);
    for (const problem of [
      ...missing(plan, models, arriving, active),
      ...doubles(plan, models, arriving, active),
      ...doubleAnswers(plan, produced, active),
    ]) {
      found.set(problem.message, problem);
    }
  }
  return [...found.values()];
}

/** The edges that carry tensors when the choosers choose by the digits of `scenario`. */
function activeEdges(plan: GraphPlan, choosers: readonly number[], scenario: number): PlannedEdge[] {
  const choice = new Map<number, PlannedEdge | undefined>();
  let rest = scenario;
  for (const node of choosers) {
    const leaving = plan.leaving[node] ?? [];
    choice.set(node, leaving[rest % leaving.length]);
    rest = Math.floor(rest / leaving.length);
  }
  const activeNodes = new Set([plan.entry]);
  const active: PlannedEdge[] = [];
  for (const node of plan.order) {
    if (!activeNodes.has(node)) continue;
    for (const edge of plan.leaving[node] ?? []) {
      if (choice.has(node) && choice.get(node) !== edge) continue;
      active.push(edge);
      activeNodes.add(edge.to);
    }
  }
  return active;
}

function missing(
  plan: GraphPlan,
  models: readonly (Signature | undefined)[],
  arriving: readonly (readonly Carried<TensorMetadata>[])[],
  active: readonly PlannedEdge[],
): StructureProblem[] {
  const problems: StructureProblem[] = [];
  for (const [node, signature] of models.entries()) {
    const entering = active.filter((edge) => edge.to === node);
    const first = entering[0];
    if (signature === undefined || first === undefined) continue;
    const supplied = new Set(
      entering.flatMap(({ index }) => (arriving[index] ?? []).map(({ tensor }) => tensor.name)),
    );
    for (const input of signature.inputs) {
      if (supplied.has(input.name)) continue;
      const over = entering.map(({ edge }) => edgeName(edge)).join(" and ");
      problems.push({
        at: edgeName(first.edge),
        message: `edge ${over}: "${plan.nodes[node]?.name}" takes "${input.name}", which does not arrive`,
        remedy: `rename an output to "${input.name}" on an edge, or lead another edge to the node`,
      });
    }
  }
  return problems;
}

/** What meets under one name at a node that takes one, or at one that can't combine its type. */
function doubles(
  plan: GraphPlan,
  models: readonly (Signature | undefined)[],
  arriving: readonly (readonly Carried<TensorMetadata>[])[],
  active: readonly PlannedEdge[],
): StructureProblem[] {
  const problems: StructureProblem[] = [];
  for (const [node, { name: nodeName, combine }] of plan.nodes.entries()) {
    const over = new Map<string, { at: string; one: Carried<TensorMetadata> }>();
    for (const { edge, index } of active.filter((edge) => edge.to === node)) {
      const at = edgeName(edge);
      for (const one of arriving[index] ?? []) {
        const { name, datatype } = one.tensor;
        const signature = models[node];
        if (signature !== undefined && !signature.inputs.some((input) => input.name === name)) continue;
        const other = over.get(name);
        over.set(name, { at, one });
        if (other === undefined || sameOfRequest(other.one, one)) continue;
        if (combine === undefined) {
          problems.push({
            at,
            message: `edge ${at}: "${name}" reaches "${nodeName}" over ${other.at} as well`,
            remedy: "rename it on one of the two, or lead both to a node that combines them",
          });
        } else if (!combines(combine, datatype)) {
          problems.push({
            at,
            message: `edge ${at}: ${datatype} tensors have no ${combine} ("${name}")`,
            remedy: "combine numeric outputs; a mean takes floating-point ones",
          });
        }
      }
    }
  }
  return problems;
}

function doubleAnswers(
  plan: GraphPlan,
  produced: readonly (readonly TensorMetadata[])[],
  active: readonly PlannedEdge[],
): StructureProblem[] {
  const problems: StructureProblem[] = [];
  const activeNodes = new Set([plan.entry, ...active.map((edge) => edge.to)]);
  const owner = new Map<string, string>();
  for (const [node, { name: nodeName }] of plan.nodes.entries()) {
    if (!activeNodes.has(node) || (plan.leaving[node] ?? []).length > 0) continue;
    for (const { name } of produced[node] ?? []) {
      const other = owner.get(name);
      if (other !== undefined) {
        problems.push({
          at: nodeName,
          message: `the nodes "${other}" and "${nodeName}" both answer an output "${name}"`,
          remedy: "lead both to a node that renames or combines them",
        });
      }
      owner.set(name, nodeName);
    }
  }
  return problems;
}
