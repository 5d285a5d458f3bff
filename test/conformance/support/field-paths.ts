import type { StructuralSchema } from "../../../crds/structural.ts";

/** Paths of all fields below a schema, such as `.graph.nodes[].name`; values of a map are at `{}`. */
export function* fieldPaths(
  schema: StructuralSchema,
  path = "",
): Generator<{ path: string; schema: StructuralSchema }> {
  for (const [name, field] of Object.entries(schema.properties ?? {})) {
    yield { path: `${path}.${name}`, schema: field };
    yield* fieldPaths(field, `${path}.${name}`);
  }
  if (schema.items !== undefined) yield* fieldPaths(schema.items, `${path}[]`);
  if (schema.additionalProperties !== undefined) yield* fieldPaths(schema.additionalProperties, `${path}{}`);
}

/** Of these paths, those at which a value has something. */
export function* pathsIn(schema: StructuralSchema, value: unknown, path = ""): Generator<string> {
  if (Array.isArray(value)) {
    for (const item of value) if (schema.items !== undefined) yield* pathsIn(schema.items, item, `${path}[]`);
  } else if (typeof value === "object" && value !== null) {
    for (const [name, inner] of Object.entries(value)) {
      const field = schema.properties?.[name];
      if (field !== undefined) {
        yield `${path}.${name}`;
        yield* pathsIn(field, inner, `${path}.${name}`);
      } else if (schema.additionalProperties !== undefined) {
        yield* pathsIn(schema.additionalProperties, inner, `${path}{}`);
      }
    }
  }
}
