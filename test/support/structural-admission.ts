import { type CelInput, celEnv, isCelError, parse, plan } from "@bufbuild/cel";
import { Ajv, type ValidateFunction } from "ajv";
import type { StructuralSchema } from "../../crds/structural.ts";

/**
 * What an API server does with a custom resource, in its order: it prunes fields that the schema lacks, fills in
 * defaults, validates the schema, then evaluates the rules. Enough of it to show in a unit test what
 * test/conformance shows on a real one.
 */

/** apiextensions-apiserver pkg/apiserver/schema/pruning: only fields with a schema stay. */
export function prune(schema: StructuralSchema, value: unknown): unknown {
  if (Array.isArray(value)) {
    const items = schema.items;
    return items === undefined ? value : value.map((item) => prune(items, item));
  }
  if (!isRecord(value)) return value;
  const { properties = {}, additionalProperties } = schema;
  return Object.fromEntries(
    Object.entries(value).flatMap(([name, field]) => {
      const inner = properties[name] ?? additionalProperties;
      return inner === undefined ? [] : [[name, prune(inner, field)]];
    }),
  );
}

/** apiextensions-apiserver pkg/apiserver/schema/defaulting: from the outside in, only where a field is absent. */
export function applyDefaults(schema: StructuralSchema, value: unknown): unknown {
  if (Array.isArray(value)) {
    const items = schema.items;
    return items === undefined ? value : value.map((item) => applyDefaults(items, item));
  }
  if (!isRecord(value)) return value;
  const out: Record<string, unknown> = { ...value };
  for (const [name, field] of Object.entries(schema.properties ?? {})) {
    if (out[name] === undefined && field.default !== undefined) out[name] = structuredClone(field.default);
    if (out[name] !== undefined) out[name] = applyDefaults(field, out[name]);
  }
  for (const name of Object.keys(schema.properties === undefined ? value : {})) {
    if (schema.additionalProperties !== undefined) {
      out[name] = applyDefaults(schema.additionalProperties, out[name]);
    }
  }
  return out;
}

/** Messages of the rules that do not hold, at every level, each with the value's place as `self`. */
export function brokenRules(schema: StructuralSchema, value: unknown): string[] {
  const broken: string[] = [];
  for (const { rule, message } of schema["x-kubernetes-validations"] ?? []) {
    const holds = program(rule)({ self: toCel(value) });
    if (isCelError(holds)) throw new Error(`${rule}: ${holds.message}`);
    if (holds !== true) broken.push(message);
  }
  if (Array.isArray(value)) {
    for (const item of value) if (schema.items !== undefined) broken.push(...brokenRules(schema.items, item));
  } else if (isRecord(value)) {
    for (const [name, field] of Object.entries(value)) {
      const inner = schema.properties?.[name] ?? schema.additionalProperties;
      if (inner !== undefined) broken.push(...brokenRules(inner, field));
    }
  }
  return broken;
}

/** The schema as ajv validates it; what an API server keeps of a resource is valid in both or in neither. */
export function schemaValidator(schema: StructuralSchema): ValidateFunction {
  const ajv = new Ajv({ strict: false, allErrors: true, formats: { "date-time": isDateTime } });
  return ajv.compile(schema);
}

function isDateTime(text: string): boolean {
  return (
    /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/.test(text) && !Number.isNaN(Date.parse(text))
  );
}

const environment = celEnv();
const programs = new Map<string, ReturnType<typeof plan>>();

function program(rule: string): ReturnType<typeof plan> {
  const known = programs.get(rule);
  if (known !== undefined) return known;
  const made = plan(environment, parse(rule));
  programs.set(rule, made);
  return made;
}

/** JSON as CEL sees it under a structural schema without number types: every number is an int. */
function toCel(value: unknown): CelInput {
  if (typeof value === "number") return BigInt(value);
  if (Array.isArray(value)) return value.map(toCel);
  if (isRecord(value)) return new Map(Object.entries(value).map(([name, field]) => [name, toCel(field)]));
  return value as string | boolean | null;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
