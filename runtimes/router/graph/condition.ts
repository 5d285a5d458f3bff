import type { RouterGraph } from "../../../lib/config/router.ts";
import type { Parameters, ParameterValue, Tensor } from "../../../lib/v2/types.ts";
import { halves } from "./float16.ts";

type Condition = NonNullable<RouterGraph["edges"][number]["when"]>;

/**
 * Whether a switch's condition holds: over a request parameter, or over the first element of an output of the
 * node that the edge leaves. All comparisons that are given must hold; what is absent holds for nothing.
 */
export function holds(condition: Condition, parameters: Parameters, outputs: readonly Tensor[]): boolean {
  const value =
    condition.parameter === undefined
      ? firstElement(outputs.find((tensor) => tensor.name === condition.output))
      : parameters[condition.parameter];
  if (value === undefined) return false;
  if (condition.equals !== undefined && !equal(value, condition.equals)) return false;
  const number = Number(value);
  if (condition.lessThan !== undefined && !(number < condition.lessThan)) return false;
  if (condition.atLeast !== undefined && !(number >= condition.atLeast)) return false;
  return true;
}

/** The condition's text is compared as text, or as a number with a number: "1" equals 1 and 1.0. */
function equal(value: ParameterValue, text: string): boolean {
  if (typeof value === "number") return text.trim() !== "" && value === Number(text);
  return String(value) === text;
}

function firstElement(tensor: Tensor | undefined): ParameterValue | undefined {
  const element = tensor?.data[0];
  if (tensor === undefined || element === undefined) return undefined;
  if (Buffer.isBuffer(element)) return element.toString("utf8");
  if (tensor.datatype === "BOOL") return element !== 0;
  if (tensor.datatype === "FP16") return halves(tensor)[0];
  // 64-bit integers lose digits beyond 2^53 as numbers; as text they compare exactly.
  return typeof element === "bigint" ? element.toString() : element;
}
