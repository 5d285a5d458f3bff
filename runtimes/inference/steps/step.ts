import { NaruError } from "../../../lib/errors.ts";
import { invalid, quote } from "../../../lib/v2/invalid.ts";
import type { Tensor, TensorMetadata } from "../../../lib/v2/types.ts";

/** The tensors of one request or answer, by name. */
export type Tensors = Map<string, Tensor>;

/**
 * One pre- or postprocessing step: reads some tensors, makes others, row for row (n rows in, n rows out). It works
 * on the tensors of one request; what it made out of its settings when it was compiled is all that it keeps.
 */
export interface Step {
  /** Its name in the resource: `decodeImage`, `softmax`, … */
  readonly kind: string;
  readonly reads: readonly string[];
  readonly writes: readonly string[];
  /**
   * What it makes, as a model's metadata says it (-1 is a dimension that each request chooses), given what is known of
   * the tensors so far. In the order of `writes`.
   */
  describe(known: ReadonlyMap<string, TensorMetadata>): readonly TensorMetadata[];
  /** What a request has to carry for it; absent where it takes any type of number. */
  readonly takes?: TensorMetadata;
  /**
   * The tensors that it makes, in place of others of their name. Throws or rejects with NaruError 400 where a tensor
   * is not what the step takes.
   */
  run(tensors: Tensors): readonly Tensor[] | Promise<readonly Tensor[]>;
}

/** A tensor that a step cannot work on: the sender's fault, with the step named. */
export function unfit(step: string, tensor: string, reason: string, remedy: string): NaruError {
  return invalid("UnfitTensor", `${step}: ${quote(tensor)} ${reason}`, remedy);
}

/** Settings that can't work: found when the model is loaded, not by a request. */
export function invalidStep(step: string, reason: string, remedy: string): NaruError {
  return new NaruError({ code: "InvalidStep", message: `${step}: ${reason}`, remedy });
}

/** Shape of a tensor as far as it is known. */
export function knownShape(known: ReadonlyMap<string, TensorMetadata>, name: string): readonly number[] {
  return known.get(name)?.shape ?? [-1];
}

/** The tensor that a step reads. Its being there is the caller's to see to. */
export function tensorNamed(tensors: Tensors, step: string, name: string): Tensor {
  const tensor = tensors.get(name);
  if (tensor === undefined)
    throw unfit(step, name, "is missing", "send the tensors that the model's metadata names");
  return tensor;
}
