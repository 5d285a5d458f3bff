import fc from "fast-check";
import { z } from "zod";

/**
 * Values of a zod schema, made from the schema itself: what the schema gains, the tests try without being told.
 * A part with a rule that its values rarely keep is tried again by itself, so that a large schema is not thrown
 * away for one field.
 * @param strict false: the rules (superRefine) are ignored, so that about half of the values break one
 */
export function zodArbitrary(schema: z.ZodType, strict: boolean): fc.Arbitrary<unknown> {
  return arbitraryOf(schema, strict);
}

interface Definition {
  type: string;
  innerType?: z.ZodType;
  shape?: Record<string, z.ZodType>;
  element?: z.ZodType;
  options?: z.ZodType[];
  entries?: Record<string, string>;
  values?: unknown[];
  valueType?: z.ZodType;
  checks?: unknown[];
}

function arbitraryOf(schema: z.ZodType, strict: boolean): fc.Arbitrary<unknown> {
  const made = unchecked(schema, strict);
  const definition = schema.def as unknown as Definition;
  const checked = strict || !["object", "array", "record"].includes(definition.type);
  if (!checked || definition.type === "optional" || definition.type === "default") return made;
  return (definition.checks ?? []).length === 0 && definition.type !== "union"
    ? made
    : made.filter((value) => schema.safeParse(value).success);
}

function unchecked(schema: z.ZodType, strict: boolean): fc.Arbitrary<unknown> {
  const definition = schema.def as unknown as Definition;
  const inner = () => arbitraryOf(definition.innerType as z.ZodType, strict);
  switch (definition.type) {
    case "optional":
    case "default":
    case "prefault":
      return inner();
    case "object":
      return objectOf(definition.shape ?? {}, strict);
    case "array": {
      const { minItems = 0 } = boundsOf(schema);
      return fc.array(arbitraryOf(definition.element as z.ZodType, strict), {
        minLength: minItems,
        maxLength: minItems + 2,
      });
    }
    case "record":
      return fc.dictionary(
        fc.oneof(fc.stringMatching(/^[a-z][a-z0-9]{0,8}$/), fc.constant("example.com/a"), fc.constant("a b")),
        arbitraryOf(definition.valueType as z.ZodType, strict),
        { maxKeys: 3 },
      );
    case "union":
      return fc.oneof(...(definition.options ?? []).map((option) => arbitraryOf(option, strict)));
    case "enum":
      return fc.constantFrom(...Object.values(definition.entries ?? {}));
    case "literal":
      return fc.constantFrom(...(definition.values ?? []));
    case "boolean":
      return fc.boolean();
    case "number": {
      const { minimum = -1e9, maximum = 1e9 } = boundsOf(schema);
      return fc.oneof(
        fc.integer({ min: minimum, max: Math.min(maximum, minimum + 100) }),
        fc
          .maxSafeInteger()
          .map((n) => minimum + (Math.abs(n) % (Math.min(maximum, 2 ** 53 - 1) - minimum + 1))),
      );
    }
    case "string":
      return stringOf(schema);
    default:
      throw new Error(`no arbitrary for ${definition.type}`);
  }
}

function objectOf(shape: Record<string, z.ZodType>, strict: boolean): fc.Arbitrary<unknown> {
  const fields = Object.entries(shape);
  const optional = fields.filter(([, field]) => field.safeParse(undefined).success).map(([name]) => name);
  const required = fields.map(([name]) => name).filter((name) => !optional.includes(name));
  const arbitraries = Object.fromEntries(fields.map(([name, field]) => [name, arbitraryOf(field, strict)]));
  return fc
    .subarray(optional, { maxLength: Math.min(5, optional.length) })
    .chain((some) =>
      fc.record(
        Object.fromEntries(
          [...required, ...some].map((name) => [name, arbitraries[name] ?? fc.constant(null)]),
        ),
      ),
    );
}

const DIGEST = /^[0-9a-f]{64}$/;

function stringOf(schema: z.ZodType): fc.Arbitrary<string> {
  const { format, pattern, minLength = 0, maxLength = 64 } = boundsOf(schema);
  if (format === "date-time") {
    return fc
      .date({ min: new Date("2000-01-01"), max: new Date("2100-01-01"), noInvalidDate: true })
      .map((date) => date.toISOString());
  }
  if (pattern !== undefined) return fc.stringMatching(new RegExp(pattern), { size: "-1" });
  const free = fc.string({ minLength, maxLength: Math.min(maxLength, minLength + 12), unit: "grapheme" });
  const likely = fc.oneof(
    fc.stringMatching(DIGEST),
    fc.stringMatching(DIGEST).map((digest) => `registry.example/a@sha256:${digest}`),
  );
  return fc.oneof(free, likely);
}

interface Bounds {
  format?: string;
  pattern?: string;
  minLength?: number;
  maxLength?: number;
  minItems?: number;
  minimum?: number;
  maximum?: number;
}

function boundsOf(schema: z.ZodType): Bounds {
  return z.toJSONSchema(schema, { io: "input" }) as Bounds;
}
