import type { InferenceStep } from "../../../lib/config/inference.ts";
import { invalid, quote } from "../../../lib/v2/invalid.ts";
import type { Tensor } from "../../../lib/v2/types.ts";
import { decodeImage } from "./decode-image.ts";
import { loadImageLibrary } from "./images.ts";
import { jsonToTensors } from "./json-to-tensors.ts";
import { labelLines, labels } from "./labels.ts";
import { normalize } from "./normalize.ts";
import { resize } from "./resize.ts";
import { softmax } from "./softmax.ts";
import { invalidStep, type Step, type Tensors } from "./step.ts";
import { tensorsToJson } from "./tensors-to-json.ts";
import { topK } from "./top-k.ts";

/** The steps before or after a model, ready to run. */
export interface CompiledSteps {
  readonly steps: readonly Step[];
  /**
   * The tensors after all steps, those that came included. A step whose tensors are all absent is left out: a
   * request may carry what the step would have made. Rejects with NaruError 400 where tensors don't fit a step.
   */
  run(tensors: readonly Tensor[]): Promise<readonly Tensor[]>;
}

export interface StepFiles {
  /** Text of one of the model's files, by the name that steps use. Rejects where there is none. */
  readText(name: string): Promise<string>;
}

/** Checks settings and reads the files that they name. Rejects with NaruError `InvalidStep`. */
export async function compileSteps(
  settings: readonly InferenceStep[],
  files: StepFiles,
): Promise<CompiledSteps> {
  const steps: Step[] = [];
  for (let index = 0; index < settings.length; index += 1) {
    const step = settings[index] ?? {};
    const next = settings[index + 1]?.resize;
    if (step.decodeImage !== undefined) {
      const follows = next !== undefined && next.tensor === step.decodeImage.output ? next : undefined;
      steps.push(decodeImage(step.decodeImage, await loadImageLibrary(), follows));
      if (follows !== undefined) index += 1;
    } else steps.push(await compileStep(step, files));
  }
  return { steps, run: (given) => runSteps(steps, given) };
}

async function compileStep(step: InferenceStep, files: StepFiles): Promise<Step> {
  if (step.resize !== undefined) return resize(step.resize, await loadImageLibrary());
  if (step.normalize !== undefined) return normalize(step.normalize);
  if (step.softmax !== undefined) return softmax(step.softmax);
  if (step.topK !== undefined) return topK(step.topK);
  if (step.jsonToTensors !== undefined) return jsonToTensors(step.jsonToTensors);
  if (step.tensorsToJson !== undefined) return tensorsToJson(step.tensorsToJson);
  if (step.labels !== undefined) {
    const { file } = step.labels;
    return labels(step.labels, file === undefined ? [] : labelLines(await files.readText(file)));
  }
  throw invalidStep("step", "it names no kind of step", "set exactly one of its fields");
}

async function runSteps(steps: readonly Step[], given: readonly Tensor[]): Promise<readonly Tensor[]> {
  const tensors: Tensors = new Map();
  for (const tensor of given) {
    if (tensors.has(tensor.name)) {
      throw invalid("DuplicateTensor", `${quote(tensor.name)} is there twice`, "send each tensor once");
    }
    tensors.set(tensor.name, tensor);
  }
  for (const step of steps) {
    if (!step.reads.some((name) => tensors.has(name))) continue;
    const twice = step.writes.find((name) => tensors.has(name) && !step.reads.includes(name));
    if (twice !== undefined) {
      throw invalid(
        "DuplicateTensor",
        `${quote(twice)} is there, and so is what ${step.kind} makes it of`,
        "send one of the two",
      );
    }
    const made = step.run(tensors);
    for (const tensor of made instanceof Promise ? await made : made) tensors.set(tensor.name, tensor);
  }
  return [...tensors.values()];
}
