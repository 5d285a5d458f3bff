import type { InferenceStep } from "../../../lib/config/inference.ts";
import { isBytes } from "../../../lib/v2/datatypes.ts";
import type { Tensor } from "../../../lib/v2/types.ts";
import { parsePointer, valueAt } from "./json-pointer.ts";
import { invalidStep, type Step, tensorNamed, unfit } from "./step.ts";

type Settings = NonNullable<InferenceStep["jsonToTensors"]>;
type Field = Settings["fields"][number];

const kind = "jsonToTensors";

interface CompiledField {
  readonly field: Field;
  readonly tokens: readonly string[];
  /** Of one row. */
  readonly shape: readonly number[];
  readonly elements: number;
}

/** No row of one field may be larger than this, whatever the shape in the resource multiplies to. */
const maxRowElements = 16_777_216;

/** BYTES of n JSON documents → for each field a tensor [n, …shape]. */
export function jsonToTensors({ input, fields }: Settings): Step {
  const compiled = fields.map(compileField);
  return {
    kind,
    reads: [input],
    takes: { name: input, datatype: "BYTES", shape: [-1] },
    writes: fields.map(({ tensor }) => tensor),
    describe: () =>
      compiled.map(({ field: { tensor, datatype }, shape }) => ({
        name: tensor,
        datatype,
        shape: [-1, ...shape],
      })),
    run(tensors) {
      const { data } = tensorNamed(tensors, kind, input);
      if (!isBytes(data)) throw unfit(kind, input, "is not BYTES", "send one JSON document an element");
      const documents = data.map((bytes, row) => parse(bytes, input, row));
      return compiled.map((each) => readField(each, documents, input));
    },
  };
}

function compileField(field: Field): CompiledField {
  const tokens = parsePointer(field.pointer);
  if (tokens === undefined) {
    throw invalidStep(
      kind,
      `"${field.pointer}" is not a JSON Pointer`,
      "begin it with /; write ~ as ~0 and / as ~1",
    );
  }
  const shape = field.shape ?? [];
  const elements = shape.reduce((product, dimension) => product * dimension, 1);
  if (elements > maxRowElements) {
    throw invalidStep(
      kind,
      `a row of "${field.tensor}" has ${elements} elements`,
      `use ${maxRowElements} or fewer`,
    );
  }
  return { field, tokens, shape, elements };
}

function parse(bytes: Buffer, input: string, row: number): unknown {
  try {
    return JSON.parse(bytes.toString("utf8"));
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    // The parser's message would quote the payload.
    throw unfit(kind, input, `row ${row} is not JSON`, "send one JSON document an element");
  }
}

function readField(compiled: CompiledField, documents: readonly unknown[], input: string): Tensor {
  const { field, tokens, shape } = compiled;
  const sink = sinkFor(field.datatype);
  for (const [row, document] of documents.entries()) {
    const value = valueAt(document, tokens);
    const refuse = (reason: string) =>
      unfit(kind, input, `row ${row}: "${field.pointer}" ${reason}`, `send ${describe(field)}`);
    if (value === undefined) throw refuse("is missing");
    readNested(value, shape, 0, sink, refuse);
  }
  return {
    name: field.tensor,
    datatype: field.datatype,
    shape: [documents.length, ...shape],
    data: sink.finish(),
  };
}

type Refuse = (reason: string) => Error;

function readNested(
  value: unknown,
  shape: readonly number[],
  axis: number,
  sink: Sink,
  refuse: Refuse,
): void {
  const length = shape[axis];
  if (length === undefined) {
    const reason = sink.put(value);
    if (reason !== undefined) throw refuse(reason);
    return;
  }
  if (!Array.isArray(value) || value.length !== length) {
    throw refuse(Array.isArray(value) ? `has ${value.length} elements, not ${length}` : "is not an array");
  }
  for (const each of value) readNested(each, shape, axis + 1, sink, refuse);
}

function describe({ datatype, shape = [] }: Field): string {
  const element =
    { BOOL: "true or false", BYTES: "a string" }[datatype as string] ?? `a number of ${datatype}`;
  return shape.length === 0 ? element : `nested arrays of shape [${shape}], each element ${element}`;
}

interface Sink {
  /** The reason why a value doesn't fit; undefined where it was taken. */
  put(value: unknown): string | undefined;
  finish(): Tensor["data"];
}

function sinkFor(datatype: Field["datatype"]): Sink {
  switch (datatype) {
    case "BOOL":
      return sink(
        (value) => (typeof value === "boolean" ? Number(value) : "is not a boolean"),
        (values) => Uint8Array.from(values),
      );
    case "INT32":
      return sink(
        (value) => (typeof value === "number" && (value | 0) === value ? value : notInteger(value)),
        (values) => Int32Array.from(values),
      );
    case "INT64":
      // Beyond 2^53 JSON.parse has rounded it already.
      return sink(
        (value) => (Number.isSafeInteger(value) ? BigInt(value as number) : notInteger(value)),
        (values) => BigInt64Array.from(values),
      );
    case "FP32":
      return sink(
        (value) => (typeof value === "number" ? value : "is not a number"),
        (values) => Float32Array.from(values),
      );
    case "FP64":
      return sink(
        (value) => (typeof value === "number" ? value : "is not a number"),
        (values) => Float64Array.from(values),
      );
    case "BYTES": {
      const data: Buffer[] = [];
      return {
        put(value) {
          if (typeof value !== "string") return "is not a string";
          data.push(Buffer.from(value, "utf8"));
          return undefined;
        },
        finish: () => data,
      };
    }
  }
}

function notInteger(value: unknown): string {
  return typeof value === "number" ? "is not an integer of that type" : "is not a number";
}

/** `read` answers the element, or a string with the reason why it isn't one. */
function sink<E extends number | bigint>(
  read: (value: unknown) => E | string,
  make: (values: E[]) => Tensor["data"],
): Sink {
  const values: E[] = [];
  return {
    put(value) {
      const element = read(value);
      if (typeof element === "string") return element;
      values.push(element);
      return undefined;
    },
    finish: () => make(values),
  };
}
