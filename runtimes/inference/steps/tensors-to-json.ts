import type { InferenceStep } from "../../../lib/config/inference.ts";
import { isBytes } from "../../../lib/v2/datatypes.ts";
import { fromFloat16Bits } from "../../../lib/v2/float16.ts";
import type { Tensor } from "../../../lib/v2/types.ts";
import { parsePointer } from "./json-pointer.ts";
import { invalidStep, knownShape, type Step, tensorNamed, unfit } from "./step.ts";

type Settings = NonNullable<InferenceStep["tensorsToJson"]>;

const kind = "tensorsToJson";

/**
 * Tensors of n rows → BYTES [n]: one JSON document a row, each tensor's row as nested arrays at its pointer.
 * 64-bit integers keep all their digits; NaN and infinities, which JSON doesn't have, become null.
 */
export function tensorsToJson({ output, fields }: Settings): Step {
  const template = new Node();
  for (const { tensor, pointer } of fields) template.place(pointer, tensor);
  return {
    kind,
    reads: fields.map(({ tensor }) => tensor),
    writes: [output],
    describe: (known) => [
      { name: output, datatype: "BYTES", shape: [knownShape(known, fields[0]?.tensor ?? "")[0] ?? -1] },
    ],
    run(tensors) {
      const read = fields.map(({ tensor }) => tensorNamed(tensors, kind, tensor));
      const rows = rowsOf(read);
      const documents: Buffer[] = [];
      for (let row = 0; row < rows; row += 1) {
        documents.push(
          Buffer.from(template.write((tensor) => rowText(tensorNamed(tensors, kind, tensor), row))),
        );
      }
      return [{ name: output, datatype: "BYTES", shape: [rows], data: documents }];
    },
  };
}

/** A place in the document: an object of places, or a tensor. */
class Node {
  readonly #members = new Map<string, Node>();
  #tensor: string | undefined;

  place(pointer: string, tensor: string): void {
    const tokens = parsePointer(pointer);
    if (tokens === undefined) {
      throw invalidStep(
        kind,
        `"${pointer}" is not a JSON Pointer`,
        "begin it with /; write ~ as ~0 and / as ~1",
      );
    }
    let at: Node = this;
    for (const token of tokens) {
      if (at.#tensor !== undefined) throw taken(pointer);
      const next = at.#members.get(token) ?? new Node();
      at.#members.set(token, next);
      at = next;
    }
    if (at.#tensor !== undefined || at.#members.size > 0) throw taken(pointer);
    at.#tensor = tensor;
  }

  write(textOf: (tensor: string) => string): string {
    if (this.#tensor !== undefined) return textOf(this.#tensor);
    const members = [...this.#members].map(([name, node]) => `${JSON.stringify(name)}:${node.write(textOf)}`);
    return `{${members.join(",")}}`;
  }
}

function taken(pointer: string): Error {
  return invalidStep(
    kind,
    `"${pointer}" and another field want one place`,
    "give each tensor a place of its own",
  );
}

function rowsOf(tensors: readonly Tensor[]): number {
  let rows: number | undefined;
  for (const { name, shape } of tensors) {
    const own = shape[0];
    if (own === undefined)
      throw unfit(kind, name, "is a scalar", "give it tensors whose first axis is the row");
    if (rows !== undefined && own !== rows) {
      throw unfit(kind, name, `has ${own} rows, another has ${rows}`, "give it tensors with as many rows");
    }
    rows = own;
  }
  return rows ?? 0;
}

function rowText(tensor: Tensor, row: number): string {
  const shape = tensor.shape.slice(1);
  const elements = shape.reduce((product, dimension) => product * dimension, 1);
  return nestedText(tensor, shape, row * elements, elements);
}

/** The elements `start` to `start + count`, nested by `shape`. */
function nestedText(tensor: Tensor, shape: readonly number[], start: number, count: number): string {
  const [length, ...inner] = shape;
  if (length === undefined) return elementText(tensor, start);
  const share = length === 0 ? 0 : count / length;
  const parts: string[] = [];
  for (let index = 0; index < length; index += 1) {
    parts.push(nestedText(tensor, inner, start + index * share, share));
  }
  return `[${parts.join(",")}]`;
}

function elementText({ data, datatype }: Tensor, index: number): string {
  if (isBytes(data)) return JSON.stringify(data[index]?.toString("utf8") ?? "");
  const value = data[index] ?? 0;
  if (datatype === "BOOL") return value === 0 ? "false" : "true";
  if (typeof value === "bigint") return value.toString();
  const number = datatype === "FP16" ? fromFloat16Bits(value) : value;
  if (!Number.isFinite(number)) return "null";
  // The shortest digits that mean the same FP32, not the sixteen of the double that it is here.
  return datatype === "FP32" ? shortest(number) : String(number);
}

function shortest(value: number): string {
  for (const precision of [6, 7, 8, 9]) {
    const text = value.toPrecision(precision);
    if (Math.fround(Number(text)) === value) return String(Number(text));
  }
  return String(value);
}
