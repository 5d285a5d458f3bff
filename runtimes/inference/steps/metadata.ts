import type { TensorMetadata } from "../../../lib/v2/types.ts";
import type { Step } from "./step.ts";

/** What a model with steps takes and gives, for its metadata. */

/**
 * What a request may carry in place of the model's inputs: for each input that steps make, what the first of them
 * takes; the others as they are. Both forms are accepted, and this one is what the metadata names.
 */
export function requestInputs(
  steps: readonly Step[],
  modelInputs: readonly TensorMetadata[],
): readonly TensorMetadata[] {
  const made = new Set<string>();
  const first = new Map<string, TensorMetadata>();
  for (const step of steps) {
    for (const name of step.reads) {
      if (made.has(name) || first.has(name)) continue;
      first.set(name, step.takes ?? firstForm(step, name, modelInputs));
    }
    for (const name of step.writes) made.add(name);
  }
  const untouched = modelInputs.filter(({ name }) => !made.has(name) && !first.has(name));
  return [...first.values(), ...untouched];
}

/** A step that takes any number: images as UINT8, a model's own input as the model takes it, else FP32. */
function firstForm(step: Step, name: string, modelInputs: readonly TensorMetadata[]): TensorMetadata {
  if (step.kind === "resize") return { name, datatype: "UINT8", shape: [-1, -1, -1, -1] };
  const own = modelInputs.find((input) => input.name === name);
  const target = modelInputs.find((input) => step.writes.includes(input.name));
  return { name, datatype: own?.datatype ?? "FP32", shape: own?.shape ?? anyOf(target?.shape) };
}

function anyOf(shape: readonly number[] | undefined): readonly number[] {
  return shape === undefined ? [-1] : shape.map(() => -1);
}

/** Every tensor that an answer may hold: the model's outputs and what steps make, each as it is at the end. */
export function answerOutputs(
  steps: readonly Step[],
  modelOutputs: readonly TensorMetadata[],
): readonly TensorMetadata[] {
  const known = new Map(modelOutputs.map((output) => [output.name, output]));
  for (const step of steps) for (const made of step.describe(known)) known.set(made.name, made);
  return [...known.values()];
}

/**
 * Names of what a step reads and no later step makes again: used up. Of a request they are taken out before the
 * model is run, unless the model has an input of that name.
 */
export function consumedNames(steps: readonly Step[]): ReadonlySet<string> {
  const consumed = new Set<string>();
  for (const step of steps) {
    for (const name of step.reads) consumed.add(name);
    for (const name of step.writes) consumed.delete(name);
  }
  return consumed;
}
