import { formatTable } from "./table.ts";

/** An answer of the V2 protocol in JSON. */
export interface InferAnswer {
  readonly model_name: string;
  readonly outputs: readonly Output[];
}

interface Output {
  readonly name: string;
  readonly datatype: string;
  readonly shape: readonly number[];
  readonly data?: readonly (string | number | boolean)[];
}

/** Most elements of one output that are printed for a person; `-o json` has all. */
const SHOWN = 20;

/**
 * What a model answered, for a person: labels or indices beside their scores where the outputs are that, else
 * each output with its type and first elements.
 */
export function formatAnswer({ outputs }: InferAnswer): string {
  const labels = outputs.filter(isLabels);
  const scores = outputs.find(
    ({ datatype, shape, data }) =>
      isFloat(datatype) && data !== undefined && sameShape(shape, labels[0]?.shape),
  );
  if (labels.length === 0 || scores === undefined) return outputs.map(describe).join("\n");
  const ranked = labels.filter(({ shape }) => sameShape(shape, scores.shape));
  const rest = outputs.filter((output) => output !== scores && !ranked.includes(output));
  const rows = (scores.data ?? [])
    .slice(0, SHOWN)
    .map((score, index) => [...ranked.map(({ data }) => String(data?.[index] ?? "")), number(score)]);
  const table = formatTable(
    [...ranked, scores].map(({ name }) => name),
    rows,
  );
  return [table, ...rest.map(describe)].join("\n");
}

function isLabels({ datatype, data }: Output): boolean {
  return (datatype === "BYTES" || datatype === "INT64" || datatype === "INT32") && data !== undefined;
}

function isFloat(datatype: string): boolean {
  return datatype.startsWith("FP");
}

function sameShape(a: readonly number[], b: readonly number[] | undefined): boolean {
  return b !== undefined && a.length === b.length && a.every((dimension, index) => dimension === b[index]);
}

function describe({ name, datatype, shape, data = [] }: Output): string {
  const shown = data.slice(0, SHOWN).map(number).join(", ");
  const more = data.length > SHOWN ? `, … ${data.length - SHOWN} more` : "";
  return `${name} ${datatype} [${shape.join(", ")}]: ${shown}${more}`;
}

function number(value: string | number | boolean): string {
  if (typeof value !== "number" || Number.isInteger(value)) return String(value);
  return String(Number(value.toPrecision(5)));
}
