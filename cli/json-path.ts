/**
 * The part of kubectl's JSONPath that printer columns use: `.a.b`, `\.` inside a name, `[0]`, and
 * `[?(@.field=="value")]`. Answers undefined for what is absent.
 */
export function readPath(value: unknown, jsonPath: string): unknown {
  let here = value;
  for (const step of stepsOf(jsonPath)) {
    here = Array.isArray(here) ? itemOf(here, step) : fieldOf(here, step);
    if (here === undefined) return undefined;
  }
  return here;
}

type Step = string | number | { field: string; equals: string };

const PATTERN = /\.((?:\\.|[^.[\\])+)|\[(\d+)\]|\[\?\(@\.(\w+)\s*==\s*"([^"]*)"\)\]/gy;

function stepsOf(jsonPath: string): Step[] {
  const steps: Step[] = [];
  let end = 0;
  for (const match of jsonPath.matchAll(PATTERN)) {
    const [whole, name, index, field, equals] = match;
    if (name !== undefined) steps.push(name.replaceAll(/\\(.)/g, "$1"));
    else if (index !== undefined) steps.push(Number(index));
    else if (field !== undefined && equals !== undefined) steps.push({ field, equals });
    end = match.index + whole.length;
  }
  if (end !== jsonPath.length) throw new Error(`"${jsonPath}" is not a path that columns use`);
  return steps;
}

function itemOf(list: readonly unknown[], step: Step): unknown {
  if (typeof step === "number") return list[step];
  if (typeof step === "string") return undefined;
  return list.find((item) => fieldOf(item, step.field) === step.equals);
}

function fieldOf(value: unknown, step: Step): unknown {
  if (typeof value !== "object" || value === null || typeof step !== "string") return undefined;
  return Object.hasOwn(value, step) ? (value as Record<string, unknown>)[step] : undefined;
}
