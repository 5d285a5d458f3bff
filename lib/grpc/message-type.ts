import { invalidMessage, ProtobufReader, ProtobufWriter, tagOf, WireType } from "./protobuf.ts";

/**
 * Small protobuf messages described as tables: what everything but inference itself needs. Proto3 rules: a
 * scalar that equals its default is not written and is read as the default when absent; an embedded message
 * that is absent is undefined; unknown fields are skipped; the last of a field that comes twice wins.
 */
export interface FieldType<In, Out> {
  /** Value of a message that lacks the field. */
  readonly absent: () => Out;
  write(writer: ProtobufWriter, field: number, value: In): void;
  /** `previous` is what the field held so far: lists and maps add to it. */
  read(reader: ProtobufReader, wireType: number, previous: Out): Out;
}

// biome-ignore lint/suspicious/noExplicitAny: the two ends of a field are only known where the table is written
type AnyField = FieldType<any, any>;
type Fields = Readonly<Record<string, readonly [number: number, type: AnyField]>>;
export type Outgoing<F extends Fields> = {
  readonly [K in keyof F]?: F[K][1] extends FieldType<infer In, infer _> ? In | undefined : never;
};
export type Incoming<F extends Fields> = {
  readonly [K in keyof F]: F[K][1] extends FieldType<infer _, infer Out> ? Out : never;
};

export interface MessageType<In, Out> {
  /** `reserved` bytes are left free in front, for a gRPC frame's header. */
  encode(value: In, reserved?: number): Buffer;
  /** Throws NaruError 400 (InvalidGrpcMessage) for bytes that are not this message. */
  decode(bytes: Buffer): Out;
  write(writer: ProtobufWriter, value: In): void;
  read(reader: ProtobufReader): Out;
}

function scalar<T>(
  wireType: number,
  absent: T,
  write: (writer: ProtobufWriter, value: T) => void,
  read: (reader: ProtobufReader) => T,
): FieldType<T, T> {
  return {
    absent: () => absent,
    write(writer, field, value) {
      if (value === absent) return;
      writer.uint32(tagOf(field, wireType));
      write(writer, value);
    },
    read(reader, actual) {
      if (actual !== wireType) throw invalidMessage(`wire type ${actual} where ${wireType} belongs`);
      return read(reader);
    },
  };
}

export const bool: FieldType<boolean, boolean> = scalar(
  WireType.varint,
  false,
  (writer, value) => writer.uint32(value ? 1 : 0),
  (reader) => reader.bool(),
);

/** Any of protobuf's integer and enum types, as a number within ±2^53. */
export const integer: FieldType<number, number> = scalar(
  WireType.varint,
  0,
  (writer, value) => writer.integer(Math.round(value)),
  (reader) => reader.integer(),
);

export const double: FieldType<number, number> = scalar(
  WireType.fixed64,
  0,
  (writer, value) => writer.double(value),
  (reader) => reader.double(),
);

export const string: FieldType<string, string> = {
  absent: () => "",
  write(writer, field, value) {
    if (value !== "") writer.string(field, value);
  },
  read(reader, wireType) {
    if (wireType !== WireType.lengthDelimited) throw invalidMessage(`wire type ${wireType} for a string`);
    return reader.string();
  },
};

export function embedded<In, Out>(type: MessageType<In, Out>): FieldType<In | undefined, Out | undefined> {
  return {
    absent: () => undefined,
    write(writer, field, value) {
      if (value === undefined) return;
      const mark = writer.open(field);
      type.write(writer, value);
      writer.close(mark);
    },
    read(reader, wireType) {
      if (wireType !== WireType.lengthDelimited) throw invalidMessage(`wire type ${wireType} for a message`);
      return type.read(reader.message());
    },
  };
}

/** A list of strings or messages (never packed). */
export function repeated<In, Out>(type: {
  absent: () => Out | undefined;
  write(writer: ProtobufWriter, field: number, value: In): void;
  read(reader: ProtobufReader, wireType: number, previous: Out): Out | undefined;
}): FieldType<readonly NonNullable<In>[], readonly NonNullable<Out>[]> {
  return {
    absent: () => [],
    write(writer, field, values) {
      for (const value of values) {
        // A default inside a list is an element like any other.
        if (value === "") writer.string(field, "");
        else type.write(writer, field, value);
      }
    },
    read(reader, wireType, previous) {
      const value = type.read(reader, wireType, type.absent() as Out);
      const list = previous as NonNullable<Out>[];
      if (value !== undefined && value !== null) list.push(value);
      return list;
    },
  };
}

/** A list of integers: written packed, read either way. */
export const integers: FieldType<readonly number[], readonly number[]> = {
  absent: () => [],
  write(writer, field, values) {
    if (values.length === 0) return;
    const mark = writer.open(field);
    for (const value of values) writer.integer(value);
    writer.close(mark);
  },
  read(reader, wireType, previous) {
    const list = previous as number[];
    if (wireType === WireType.varint) list.push(reader.integer());
    else {
      if (wireType !== WireType.lengthDelimited) throw invalidMessage(`wire type ${wireType} for integers`);
      const packed = reader.message();
      while (!packed.done) list.push(packed.integer());
    }
    return list;
  },
};

/** A map with string keys. */
export function mapOf<In, Out>(
  value: MessageType<In, Out>,
): FieldType<Readonly<Record<string, In>>, Readonly<Record<string, Out>>> {
  const entry = message({ key: [1, string], value: [2, embedded(value)] });
  return {
    // No prototype: a key such as `__proto__` is a key.
    absent: () => Object.create(null),
    write(writer, field, values) {
      for (const [key, each] of Object.entries(values)) {
        const mark = writer.open(field);
        entry.write(writer, { key, value: each });
        writer.close(mark);
      }
    },
    read(reader, wireType, previous) {
      if (wireType !== WireType.lengthDelimited) throw invalidMessage(`wire type ${wireType} for a map`);
      const read = entry.read(reader.message());
      const map = previous as Record<string, Out>;
      map[read.key] = read.value ?? value.read(new ProtobufReader(Buffer.alloc(0)));
      return map;
    },
  };
}

/** A message with these fields: `{ name: [field number, type] }`. */
export function message<const F extends Fields>(fields: F): MessageType<Outgoing<F>, Incoming<F>> {
  const entries = Object.entries(fields);
  const byNumber = new Map(entries.map(([name, [number, type]]) => [number, { name, type }]));
  const type: MessageType<Outgoing<F>, Incoming<F>> = {
    encode(value, reserved = 0) {
      const writer = new ProtobufWriter(128, reserved);
      type.write(writer, value);
      return writer.finish();
    },
    decode(bytes) {
      return type.read(new ProtobufReader(bytes));
    },
    write(writer, value) {
      for (const [name, [number, field]] of entries) {
        const each = value[name];
        if (each !== undefined) field.write(writer, number, each);
      }
    },
    read(reader) {
      const value: Record<string, unknown> = {};
      for (const [name, [, field]] of entries) value[name] = field.absent();
      while (!reader.done) {
        const tag = reader.tag();
        const known = byNumber.get(tag >>> 3);
        if (known === undefined) reader.skip(tag);
        else value[known.name] = known.type.read(reader, tag & 7, value[known.name]);
      }
      return value as Incoming<F>;
    },
  };
  return type;
}
