import { z } from "zod";

/**
 * zod 4 → JSON Schema → a structural schema, the subset that a CustomResourceDefinition may hold
 * (apiextensions-apiserver, pkg/apiserver/schema). zod stays the source of truth; this pass only rewrites what
 * the subset says otherwise:
 * - `additionalProperties: false` goes: an API server drops unknown fields by itself, and kubectl reports them;
 * - an integer-or-string is `anyOf` of the two bare types, its bounds beside it and not inside;
 * - a date-time keeps the format and loses zod's pattern;
 * - an integer's bound that is only the limit of what JavaScript can hold goes.
 */
export interface StructuralSchema {
  type?: "object" | "array" | "string" | "integer" | "boolean";
  format?: "date-time";
  description?: string;
  default?: unknown;
  nullable?: boolean;
  enum?: readonly string[];
  pattern?: string;
  minLength?: number;
  maxLength?: number;
  minimum?: number;
  maximum?: number;
  minItems?: number;
  maxItems?: number;
  maxProperties?: number;
  items?: StructuralSchema;
  properties?: Record<string, StructuralSchema>;
  additionalProperties?: StructuralSchema;
  required?: readonly string[];
  anyOf?: readonly { type: "integer" | "string" }[];
  "x-kubernetes-int-or-string"?: true;
  "x-kubernetes-list-type"?: "map" | "set";
  "x-kubernetes-list-map-keys"?: readonly string[];
  "x-kubernetes-validations"?: readonly { rule: string; message: string; fieldPath?: string }[];
}

type JsonSchema = Record<string, unknown>;

/**
 * The structural schema of what a user writes (zod's input side: fields with a default are optional).
 * @throws Error where zod uses something that a structural schema cannot say; the message names the path
 */
export function structuralSchema(schema: z.ZodType): StructuralSchema {
  const json = z.toJSONSchema(schema, {
    target: "openapi-3.0",
    io: "input",
    reused: "inline",
    cycles: "throw",
    unrepresentable: "throw",
  });
  return convert(json, "");
}

/** Keywords that mean the same in both and are copied as they are. */
const KEPT = [
  "type",
  "description",
  "default",
  "nullable",
  "enum",
  "pattern",
  "format",
  "minLength",
  "maxLength",
  "minimum",
  "maximum",
  "minItems",
  "maxItems",
  "maxProperties",
  "required",
  "x-kubernetes-list-type",
  "x-kubernetes-list-map-keys",
  "x-kubernetes-validations",
] as const;

const REWRITTEN = ["properties", "items", "additionalProperties", "anyOf", "x-kubernetes-int-or-string"];

function convert(json: JsonSchema, path: string): StructuralSchema {
  for (const keyword of Object.keys(json)) {
    if (!(KEPT as readonly string[]).includes(keyword) && !REWRITTEN.includes(keyword)) {
      throw new Error(`${path || "."}: a structural schema cannot say ${keyword}`);
    }
  }
  if (json["x-kubernetes-int-or-string"] === true) return intOrString(json, path);
  if (json.anyOf !== undefined) throw new Error(`${path || "."}: a union: write optional fields and a rule`);
  if (json.type === undefined) throw new Error(`${path || "."}: a value of any type`);

  const out: JsonSchema = {};
  for (const keyword of KEPT) if (json[keyword] !== undefined) out[keyword] = json[keyword];
  dropSafeIntegerBounds(out);
  if (json.format === "date-time") delete out.pattern;
  if (json.type === "array") {
    out.items = convert(json.items as JsonSchema, `${path}[]`);
  }
  if (isRecord(json.properties)) {
    out.properties = Object.fromEntries(
      Object.entries(json.properties).map(([name, value]) => [
        name,
        convert(value as JsonSchema, `${path}.${name}`),
      ]),
    );
  }
  if (isRecord(json.additionalProperties) && json.properties === undefined) {
    out.additionalProperties = convert(json.additionalProperties, `${path}{}`);
  }
  return out as StructuralSchema;
}

/** The one form of an integer-or-string that is structural; bounds of both branches stand beside `anyOf`. */
function intOrString(json: JsonSchema, path: string): StructuralSchema {
  const branches = Array.isArray(json.anyOf) ? (json.anyOf as JsonSchema[]) : [];
  const integer = branches.find((branch) => branch.type === "integer");
  const string = branches.find((branch) => branch.type === "string");
  if (branches.length !== 2 || integer === undefined || string === undefined) {
    throw new Error(`${path}: an integer-or-string is a union of z.int() and z.string()`);
  }
  const out: JsonSchema = {
    anyOf: [{ type: "integer" }, { type: "string" }],
    "x-kubernetes-int-or-string": true,
  };
  for (const keyword of ["description", "default"]) {
    if (json[keyword] !== undefined) out[keyword] = json[keyword];
  }
  for (const keyword of ["pattern", "minLength", "maxLength"]) {
    if (string[keyword] !== undefined) out[keyword] = string[keyword];
  }
  for (const keyword of ["minimum", "maximum"]) {
    if (integer[keyword] !== undefined) out[keyword] = integer[keyword];
  }
  dropSafeIntegerBounds(out);
  return out as StructuralSchema;
}

function dropSafeIntegerBounds(json: JsonSchema): void {
  if (json.minimum === Number.MIN_SAFE_INTEGER) delete json.minimum;
  if (json.maximum === Number.MAX_SAFE_INTEGER) delete json.maximum;
}

function isRecord(value: unknown): value is JsonSchema {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
