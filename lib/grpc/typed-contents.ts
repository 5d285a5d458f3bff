import type { NaruError } from "../errors.ts";
import { invalid, quote } from "../v2/invalid.ts";
import type { Datatype, TensorData } from "../v2/types.ts";
import { type ProtobufReader, tagOf, WireType } from "./protobuf.ts";

/**
 * `InferTensorContents`: a tensor's elements as protobuf lists in place of raw bytes. Read only: answers are raw,
 * as Triton's are. Each datatype has one list that it may come in; FP16 has none.
 */

/** `elements` is what the shape asks for: nothing is stored beyond it, so a lying list costs no memory. */
export function readTypedContents(
  contents: ProtobufReader,
  datatype: Datatype,
  elements: number,
  input: string,
): TensorData {
  const rule = rules[datatype];
  if (rule === undefined) {
    throw invalidContents(
      `${quote(input)} of type ${datatype} has typed contents, and there are none for that type`,
      "send it as raw_input_contents",
    );
  }
  const list = lists[rule.list];
  // An element takes at least one byte, so a shape that lies is found out before memory is taken for it.
  if (elements > contents.end - contents.position) throw tooFew(input, rule.list, elements);
  const sink = rule.sink(elements, input);
  const packedTag = tagOf(list.field, WireType.lengthDelimited);
  const singleTag = tagOf(list.field, list.wireType);
  let count = 0;
  const take = (reader: ProtobufReader) => {
    if (count >= elements) {
      throw invalidContents(
        `${quote(input)} has more elements in ${rule.list} than its shape's ${elements}`,
        "send as many elements as the shape holds",
      );
    }
    sink.put(count, reader);
    count += 1;
  };
  while (!contents.done) {
    const tag = contents.tag();
    // BYTES are never packed: their two tags are one.
    if (tag === singleTag) take(contents);
    else if (tag === packedTag) {
      const packed = contents.message();
      while (!packed.done) take(packed);
    } else if (tag >>> 3 <= 8) {
      throw invalidContents(
        `${quote(input)} of type ${datatype} has contents of another type`,
        `put its elements into ${rule.list}`,
      );
    } else contents.skip(tag);
  }
  if (count < elements) throw tooFew(input, rule.list, elements);
  return sink.data;
}

function tooFew(input: string, list: string, elements: number): NaruError {
  return invalidContents(
    `${quote(input)} has fewer elements in ${list} than its shape's ${elements}`,
    "send as many elements as the shape holds",
  );
}

function invalidContents(message: string, remedy: string): NaruError {
  return invalid("InvalidTensorData", message, remedy);
}

const lists = {
  bool_contents: { field: 1, wireType: WireType.varint },
  int_contents: { field: 2, wireType: WireType.varint },
  int64_contents: { field: 3, wireType: WireType.varint },
  uint_contents: { field: 4, wireType: WireType.varint },
  uint64_contents: { field: 5, wireType: WireType.varint },
  fp32_contents: { field: 6, wireType: WireType.fixed32 },
  fp64_contents: { field: 7, wireType: WireType.fixed64 },
  bytes_contents: { field: 8, wireType: WireType.lengthDelimited },
} as const;

interface Sink {
  readonly data: TensorData;
  put(index: number, reader: ProtobufReader): void;
}

interface Rule {
  readonly list: keyof typeof lists;
  sink(elements: number, input: string): Sink;
}

/** A typed array filled by `read`. */
function numbers<T extends Exclude<TensorData, readonly Buffer[]>>(
  list: keyof typeof lists,
  make: (elements: number) => T,
  read: (reader: ProtobufReader) => T[number],
): Rule {
  return {
    list,
    sink(elements, input) {
      const data = make(elements);
      return {
        data,
        put(index, reader) {
          const value = read(reader);
          data[index] = value;
          // int_contents also carries INT8 and INT16: a number that doesn't fit is an error, not another number.
          if (
            data[index] !== value &&
            typeof value === "number" &&
            Number.isInteger(value) &&
            isIntegers(data)
          ) {
            throw invalidContents(
              `${quote(input)} has ${value} in ${list}, beyond its type`,
              "send it as it fits",
            );
          }
        },
      };
    },
  };
}

function isIntegers(data: TensorData): boolean {
  return !(data instanceof Float32Array || data instanceof Float64Array);
}

const rules: Readonly<Partial<Record<Datatype, Rule>>> = {
  BOOL: numbers(
    "bool_contents",
    (n) => new Uint8Array(n),
    (r) => (r.bool() ? 1 : 0),
  ),
  INT8: numbers(
    "int_contents",
    (n) => new Int8Array(n),
    (r) => r.int32(),
  ),
  INT16: numbers(
    "int_contents",
    (n) => new Int16Array(n),
    (r) => r.int32(),
  ),
  INT32: numbers(
    "int_contents",
    (n) => new Int32Array(n),
    (r) => r.int32(),
  ),
  INT64: numbers(
    "int64_contents",
    (n) => new BigInt64Array(n),
    (r) => r.int64(),
  ),
  UINT8: numbers(
    "uint_contents",
    (n) => new Uint8Array(n),
    (r) => r.uint32(),
  ),
  UINT16: numbers(
    "uint_contents",
    (n) => new Uint16Array(n),
    (r) => r.uint32(),
  ),
  UINT32: numbers(
    "uint_contents",
    (n) => new Uint32Array(n),
    (r) => r.uint32(),
  ),
  UINT64: numbers(
    "uint64_contents",
    (n) => new BigUint64Array(n),
    (r) => r.uint64(),
  ),
  FP32: numbers(
    "fp32_contents",
    (n) => new Float32Array(n),
    (r) => r.float(),
  ),
  FP64: numbers(
    "fp64_contents",
    (n) => new Float64Array(n),
    (r) => r.double(),
  ),
  BYTES: {
    list: "bytes_contents",
    sink() {
      const data: Buffer[] = [];
      return {
        data,
        put(_index, reader) {
          data.push(reader.view());
        },
      };
    },
  },
};
