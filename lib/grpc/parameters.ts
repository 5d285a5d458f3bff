import type { Parameters, ParameterValue } from "../v2/types.ts";
import { invalidMessage, type ProtobufReader, type ProtobufWriter, tagOf, WireType } from "./protobuf.ts";

/** `map<string, InferParameter>`: of requests, tensors and responses. */

/** What a message without parameters has: shared, and never written to. */
export const noParameters: Parameters = Object.freeze(Object.create(null));

/** Reads one map entry and returns the map with it. */
export function readParameter(reader: ProtobufReader, previous: Parameters): Parameters {
  const entry = reader.message();
  let key = "";
  let value: ParameterValue | undefined;
  while (!entry.done) {
    const tag = entry.tag();
    if (tag === tagOf(1, WireType.lengthDelimited)) key = entry.string();
    else if (tag === tagOf(2, WireType.lengthDelimited)) value = readValue(entry.message());
    else entry.skip(tag);
  }
  if (value === undefined) throw invalidMessage(`parameter "${key}" has no value`);
  // No prototype: a parameter named `__proto__` is a parameter.
  const map: Record<string, ParameterValue> =
    previous === noParameters ? Object.create(null) : (previous as Record<string, ParameterValue>);
  map[key] = value;
  return map;
}

function readValue(reader: ProtobufReader): ParameterValue | undefined {
  let value: ParameterValue | undefined;
  while (!reader.done) {
    const tag = reader.tag();
    switch (tag) {
      case tagOf(1, WireType.varint):
        value = reader.bool();
        break;
      case tagOf(2, WireType.varint):
        value = Number(reader.int64());
        break;
      case tagOf(3, WireType.lengthDelimited):
        value = reader.string();
        break;
      case tagOf(4, WireType.fixed64):
        value = reader.double();
        break;
      case tagOf(5, WireType.varint):
        value = Number(reader.uint64());
        break;
      default:
        reader.skip(tag);
    }
  }
  return value;
}

/** A whole number goes as `int64_param`, any other (-0 too, which no integer says) as `double_param`. */
export function writeParameters(writer: ProtobufWriter, field: number, parameters: Parameters): void {
  for (const [key, value] of Object.entries(parameters)) {
    const entry = writer.open(field);
    writer.string(1, key);
    const choice = writer.open(2);
    switch (typeof value) {
      case "boolean":
        writer.uint32(tagOf(1, WireType.varint));
        writer.uint32(value ? 1 : 0);
        break;
      case "string":
        writer.string(3, value);
        break;
      default:
        if (Number.isSafeInteger(value) && !Object.is(value, -0)) {
          writer.uint32(tagOf(2, WireType.varint));
          writer.integer(value);
        } else {
          writer.uint32(tagOf(4, WireType.fixed64));
          writer.double(value);
        }
    }
    writer.close(choice);
    writer.close(entry);
  }
}
