import { decodeRaw } from "../v2/binary.ts";
import { bytesOf, elementCount, isBytes, parseDatatype } from "../v2/datatypes.ts";
import { invalid, quote } from "../v2/invalid.ts";
import type { Tensor } from "../v2/types.ts";
import { invalidMessage, type ProtobufReader, type ProtobufWriter, tagOf, WireType } from "./protobuf.ts";
import { readTypedContents } from "./typed-contents.ts";

/**
 * InferInputTensor and InferOutputTensor (the same fields under the same numbers) together with the raw contents,
 * which a message holds apart from them, and the tensors that both make.
 */
export interface TensorEntry {
  name: string;
  datatype: string;
  shape: number[];
  /** Typed contents, not read yet: whether they may be there is only known at the message's end. */
  contents: ProtobufReader | undefined;
}

const maxRank = 32;
const maxEntries = 1024;
const noBytes = new Uint8Array(0);

/** The list, if another entry may be added to it; throws NaruError 400 if not. */
export function roomIn<T>(list: T[], field: string): T[] {
  if (list.length === maxEntries) throw invalidMessage(`more than ${maxEntries} ${field}`);
  return list;
}

export function readTensorEntry(reader: ProtobufReader): TensorEntry {
  const entry: TensorEntry = { name: "", datatype: "", shape: [], contents: undefined };
  while (!reader.done) {
    const tag = reader.tag();
    switch (tag) {
      case tagOf(1, WireType.lengthDelimited):
        entry.name = reader.string();
        break;
      case tagOf(2, WireType.lengthDelimited):
        entry.datatype = reader.string();
        break;
      case tagOf(3, WireType.lengthDelimited): {
        const packed = reader.message();
        while (!packed.done) addDimension(entry, packed.integer());
        break;
      }
      case tagOf(3, WireType.varint):
        addDimension(entry, reader.integer());
        break;
      case tagOf(5, WireType.lengthDelimited):
        entry.contents = reader.message();
        break;
      default:
        reader.skip(tag);
    }
  }
  return entry;
}

function addDimension(entry: TensorEntry, dimension: number): void {
  if (entry.shape.length === maxRank) {
    throw invalid(
      "InvalidShape",
      `${quote(entry.name)} has more than ${maxRank} dimensions`,
      "send the model's rank",
    );
  }
  if (dimension < 0) {
    throw invalid(
      "InvalidShape",
      `${quote(entry.name)} has the dimension ${dimension}`,
      "send dimensions that are not negative",
    );
  }
  entry.shape.push(dimension);
}

/**
 * The tensors of entries and raw contents: raw for all of them or for none, as in Triton. Data is a view of the
 * message where it is aligned. Throws NaruError 400.
 */
export function tensorsOf(entries: readonly TensorEntry[], raw: readonly Buffer[]): readonly Tensor[] {
  if (raw.length !== 0 && raw.length !== entries.length) {
    throw invalid(
      "InvalidTensorData",
      `there are ${raw.length} raw contents for ${entries.length} tensors`,
      "send raw contents for every tensor, or typed contents for every tensor",
    );
  }
  return entries.map((entry, index) => tensorOf(entry, raw[index]));
}

function tensorOf(entry: TensorEntry, raw: Buffer | undefined): Tensor {
  const { name, shape, contents } = entry;
  const datatype = parseDatatype(entry.datatype, name);
  if (contents === undefined) {
    if (raw === undefined && elementCount(shape) > 0) {
      throw invalid("InvalidTensorData", `${quote(name)} has no data`, "send raw contents or typed contents");
    }
    return { name, datatype, shape, data: decodeRaw(name, datatype, shape, raw ?? noBytes) };
  }
  if (raw !== undefined) {
    throw invalid(
      "InvalidTensorData",
      `${quote(name)} has both contents and raw contents`,
      "send one of the two",
    );
  }
  return { name, datatype, shape, data: readTypedContents(contents, datatype, elementCount(shape), name) };
}

export function writeTensorEntry(writer: ProtobufWriter, field: number, tensor: Tensor): void {
  const mark = writer.open(field);
  writer.string(1, tensor.name);
  writer.string(2, tensor.datatype);
  if (tensor.shape.length > 0) {
    const shape = writer.open(3);
    for (const dimension of tensor.shape) writer.integer(dimension);
    writer.close(shape);
  }
  writer.close(mark);
}

/** Written straight into the message, BYTES too: the only copy that an answer's data goes through. */
export function writeRawContents(writer: ProtobufWriter, field: number, tensor: Tensor): void {
  const { data } = tensor;
  if (!isBytes(data)) {
    writer.bytes(field, bytesOf(data));
    return;
  }
  writer.uint32(tagOf(field, WireType.lengthDelimited));
  writer.uint32(rawLength(tensor));
  for (const element of data) {
    writer.fixed32(element.length);
    writer.append(element);
  }
}

function rawLength({ data }: Tensor): number {
  if (!isBytes(data)) return data.byteLength;
  let length = 0;
  for (const element of data) length += 4 + element.length;
  return length;
}

/** A little above what a message of these tensors takes, so that it is written without growing. */
export function capacityFor(tensors: readonly Tensor[]): number {
  let capacity = 128;
  for (const tensor of tensors) capacity += rawLength(tensor) + tensor.name.length + 64;
  return capacity;
}
