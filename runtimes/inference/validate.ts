import { isUtf8 } from "node:buffer";
import type { SessionMetadata, SessionTensor, SessionTensorMetadata } from "../../lib/onnx/session.ts";
import { elementCount, isBytes } from "../../lib/v2/datatypes.ts";
import { invalid, quote } from "../../lib/v2/invalid.ts";
import type { InferRequest, Tensor } from "../../lib/v2/types.ts";

export interface ValidInputs {
  /** In the model's order. */
  readonly inputs: readonly SessionTensor[];
  /** The first dimension that every input has; undefined where they have none in common. */
  readonly rows: number | undefined;
  /** Requests with the same key may share a run: all dimensions but the first agree. */
  readonly shapeKey: string;
}

/** Checks requests against what the model declares. Made once a model; everything it throws is a 400. */
export class InputValidator {
  readonly #inputs: readonly SessionTensorMetadata[];
  readonly #names: string;
  readonly #inner: boolean;
  readonly #bound: boolean;

  constructor({ inputs }: SessionMetadata) {
    this.#inputs = inputs;
    this.#names = inputs.map(({ name }) => name).join(", ");
    this.#inner = inputs.some(({ shape }) => shape.includes(-1, 1));
    this.#bound = inputs.flatMap(({ symbols }) => symbols).filter((symbol) => symbol !== "").length > 1;
  }

  validate(tensors: readonly Tensor[]): ValidInputs {
    const inputs: SessionTensor[] = [];
    let rows: number | undefined;
    for (const declared of this.#inputs) {
      const tensor = this.#find(tensors, declared.name);
      checkTensor(tensor, declared);
      inputs.push(toSession(tensor));
      const first = tensor.shape[0];
      rows = inputs.length === 1 || rows === first ? first : undefined;
    }
    if (tensors.length !== this.#inputs.length) throw this.#unexpected(tensors);
    if (this.#bound) this.#checkSymbols(inputs);
    const shapeKey = this.#inner ? inputs.map(({ shape }) => shape.slice(1).join()).join(";") : "";
    return { inputs, rows, shapeKey };
  }

  #find(tensors: readonly Tensor[], name: string): Tensor {
    for (const tensor of tensors) if (tensor.name === name) return tensor;
    throw invalid(
      "MissingInput",
      `input ${quote(name)} is missing`,
      `send every input of the model: ${this.#names}`,
    );
  }

  #unexpected(tensors: readonly Tensor[]): Error {
    const known = new Set(this.#inputs.map(({ name }) => name));
    for (const { name } of tensors) {
      if (!known.delete(name)) {
        return invalid(
          "UnknownInput",
          `${quote(name)} is not an input of the model, or is sent twice`,
          `send each input once: ${this.#names}`,
        );
      }
    }
    return invalid(
      "UnknownInput",
      "the request has more inputs than the model",
      `send each input once: ${this.#names}`,
    );
  }

  /** Dimensions of one symbolic name are one number. */
  #checkSymbols(inputs: readonly SessionTensor[]): void {
    const bound = new Map<string, number>();
    for (const [index, { name, symbols }] of this.#inputs.entries()) {
      for (const [axis, symbol] of symbols.entries()) {
        const dimension = inputs[index]?.shape[axis];
        if (symbol === "" || dimension === undefined) continue;
        const other = bound.get(symbol);
        if (other !== undefined && other !== dimension) {
          throw invalid(
            "InvalidShape",
            `dimension ${axis} of ${quote(name)} is ${dimension}, and another input says that ${quote(symbol)} is ${other}`,
            "send inputs whose shared dimensions agree",
          );
        }
        bound.set(symbol, dimension);
      }
    }
  }
}

function checkTensor(tensor: Tensor, declared: SessionTensorMetadata): void {
  const { name, datatype, shape } = tensor;
  if (datatype !== declared.datatype) {
    throw invalid(
      "InvalidDatatype",
      `input ${quote(name)} has the datatype ${datatype}; the model takes ${declared.datatype}`,
      `convert it to ${declared.datatype}`,
    );
  }
  let fits = shape.length === declared.shape.length;
  for (let axis = 0; fits && axis < shape.length; axis += 1) {
    const wanted = declared.shape[axis];
    fits = wanted === -1 || wanted === shape[axis];
  }
  if (!fits) {
    throw invalid(
      "InvalidShape",
      `input ${quote(name)} has the shape [${shape}]; the model takes [${declared.shape}]`,
      "send the shape that the model's metadata names; -1 is any number",
    );
  }
  const count = elementCount(shape);
  if (count === 0) checkEmpty(tensor, declared);
  if (tensor.data.length !== count) {
    throw invalid(
      "InvalidTensorData",
      `input ${quote(name)} has ${tensor.data.length} elements; shape [${shape}] takes ${count}`,
      "send as many elements as the shape says",
    );
  }
}

/** Other dimensions of a tensor without elements, multiplied: far above any empty batch that is meant. */
const maxEmptyExtent = 2 ** 20;

/**
 * A dimension of 0 lets the others claim any size with no data behind it, and an output may be as large as they say
 * (the sum over the second axis of [2^31, 0] takes 8 GB). Beyond 2^32 onnxruntime-node refuses the shape.
 */
function checkEmpty({ name, shape }: Tensor, declared: SessionTensorMetadata): void {
  let extent = 1;
  for (const [axis, dimension] of shape.entries()) {
    if (declared.shape[axis] === -1 && dimension !== 0) extent *= dimension;
  }
  if (extent <= maxEmptyExtent) return;
  throw invalid(
    "InvalidShape",
    `input ${quote(name)} has no elements, and the shape [${shape}]`,
    `let the dimensions beside the 0 multiply to ${maxEmptyExtent} at most`,
  );
}

function toSession(tensor: Tensor): SessionTensor {
  const { datatype, shape, data, name } = tensor;
  if (!isBytes(data)) return { datatype, shape, data };
  return { datatype, shape, data: data.map((element) => toText(name, element)) };
}

/** onnxruntime-node's strings are UTF-8 and end at the first NUL: what can't pass whole is refused, not changed. */
function toText(name: string, element: Buffer): string {
  if (isUtf8(element) && !element.includes(0)) return element.toString();
  throw invalid(
    "InvalidTensorData",
    `input ${quote(name)} holds bytes that are not UTF-8 text without NUL, which an ONNX string has to be`,
    "send text; bytes such as images need a model or a decodeImage step that takes them",
  );
}

export function fromSession(name: string, tensor: SessionTensor): Tensor {
  const { datatype, shape, data } = tensor;
  if (!Array.isArray(data)) return { name, datatype, shape, data: data as Tensor["data"] };
  return { name, datatype, shape, data: data.map((text: string) => Buffer.from(text)) };
}

/** The names that the request asks for, each once and among `known`; `all` names those, for the error. */
export function askedOutputs(
  request: InferRequest,
  known: ReadonlySet<string>,
  all: string,
): readonly string[] {
  const names = request.outputs.map(({ name }) => name);
  for (const [index, name] of names.entries()) {
    if (!known.has(name)) {
      throw invalid(
        "UnknownOutput",
        `${quote(name)} is not an output of the model`,
        `ask for some of: ${all}`,
      );
    }
    if (names.indexOf(name) !== index) {
      throw invalid("UnknownOutput", `output ${quote(name)} is asked for twice`, "ask for each output once");
    }
  }
  return names;
}
