import type { InferenceModel, InferenceStep } from "../../lib/config/inference.ts";

/** The names of tensors that declared steps take and give, as far as requests have to know them. Pure. */

/** What each kind of step reads. */
function reads(step: InferenceStep): string[] {
  return [
    step.decodeImage?.input,
    step.resize?.tensor,
    step.normalize?.input,
    step.softmax?.input,
    step.topK?.input,
    step.labels?.input,
    step.jsonToTensors?.input,
    ...(step.tensorsToJson?.fields.map(({ tensor }) => tensor) ?? []),
  ].filter((name) => name !== undefined);
}

/** What each kind of step adds. */
function writes(step: InferenceStep): string[] {
  return [
    step.decodeImage?.output,
    step.resize?.tensor,
    step.normalize?.output,
    step.softmax?.output,
    step.topK?.scores,
    step.topK?.indices,
    step.labels?.output,
    ...(step.jsonToTensors?.fields.map(({ tensor }) => tensor) ?? []),
    step.tensorsToJson?.output,
  ].filter((name) => name !== undefined);
}

/** Inputs that a request may carry in place of the model's own: read by a step, and given by none before it. */
export function stepInputs(steps: InferenceModel["preprocess"]): ReadonlySet<string> {
  const given = new Set<string>();
  const wanted = new Set<string>();
  for (const step of steps) {
    for (const name of reads(step)) if (!given.has(name)) wanted.add(name);
    for (const name of writes(step)) given.add(name);
  }
  return wanted;
}

/** Outputs that steps add to the model's own. */
export function stepOutputs(steps: InferenceModel["postprocess"]): ReadonlySet<string> {
  return new Set(steps.flatMap(writes));
}
