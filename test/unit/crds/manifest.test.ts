import { readFile } from "node:fs/promises";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { z } from "zod";
import { customResourceDefinition } from "../../../crds/manifest.ts";
import { modelServingDefinition } from "../../../crds/model-serving/definition.ts";
import { modelServing } from "../../../crds/model-serving.ts";
import { type StructuralSchema, structuralSchema } from "../../../crds/structural.ts";

const MANIFEST = new URL("../../../crds/manifests/naru.dev_modelservings.yaml", import.meta.url);
const EXAMPLE = new URL("../../../crds/examples/modelserving.yaml", import.meta.url);

const definition = customResourceDefinition(modelServingDefinition, modelServing);
const root = definition.spec.versions[0]?.schema.openAPIV3Schema;
if (root === undefined) throw new Error("no schema");

/** Every schema below `spec` and `status` with its path; what lies inside a list item is marked. */
function* schemas(
  schema: StructuralSchema,
  path: string,
  inItem = false,
): Generator<{ schema: StructuralSchema; path: string; inItem: boolean }> {
  yield { schema, path, inItem };
  for (const [name, field] of Object.entries(schema.properties ?? {})) {
    yield* schemas(field, `${path}.${name}`, inItem);
  }
  if (schema.items !== undefined) yield* schemas(schema.items, `${path}[]`, true);
  if (schema.additionalProperties !== undefined)
    yield* schemas(schema.additionalProperties, `${path}{}`, true);
}

const all = ["spec", "status"].flatMap((name) => [...schemas(root.properties?.[name] ?? {}, name)]);
const pathsWhere = (wrong: (schema: StructuralSchema, path: string, inItem: boolean) => boolean) =>
  all.filter(({ schema, path, inItem }) => wrong(schema, path, inItem)).map(({ path }) => path);

describe("the generated schema", () => {
  test("is what the repository holds, and under 100 KB", async () => {
    const text = await readFile(MANIFEST, "utf8");
    expect(parse(text)).toEqual(JSON.parse(JSON.stringify(definition)));
    expect(Buffer.byteLength(text)).toBeLessThan(100_000);
  });

  test("has a description on every field", () => {
    const fields = all.flatMap(({ schema, path }) =>
      Object.entries(schema.properties ?? {}).map(([name, field]) => ({ path: `${path}.${name}`, field })),
    );
    expect(fields.length).toBeGreaterThan(300);
    expect(
      fields.filter(({ field }) => (field.description ?? "").length < 4).map(({ path }) => path),
    ).toEqual([]);
  });

  test("bounds every string, list and map", () => {
    expect(
      pathsWhere(
        ({ type, enum: values, format, maxLength }) =>
          type === "string" && values === undefined && format !== "date-time" && maxLength === undefined,
      ),
    ).toEqual([]);
    expect(pathsWhere(({ type, maxItems }) => type === "array" && maxItems === undefined)).toEqual([]);
    expect(
      pathsWhere(
        ({ additionalProperties, maxProperties }) =>
          additionalProperties !== undefined && maxProperties === undefined,
      ),
    ).toEqual([]);
  });

  test("bounds the keys of every map by a rule", () => {
    const unbounded = pathsWhere(
      (schema) =>
        schema.additionalProperties !== undefined &&
        !(schema["x-kubernetes-validations"] ?? []).some(({ rule }) =>
          rule.startsWith("self.all(k, size(k) <= "),
        ),
    );
    expect(unbounded).toEqual([]);
  });

  test("has no default inside a list item, on which a client-side diff would never settle", () => {
    expect(pathsWhere(({ default: value }, _path, inItem) => inItem && value !== undefined)).toEqual([]);
  });

  test("has no number that is not an integer", () => {
    expect(pathsWhere(({ type }) => (type as string) === "number")).toEqual([]);
  });

  test("uses only keywords of a structural schema, and patterns that RE2 knows", () => {
    const text = JSON.stringify(root);
    for (const forbidden of [
      "$ref",
      "oneOf",
      "allOf",
      '"not"',
      'additionalProperties":false',
      "definitions",
    ]) {
      expect(text).not.toContain(forbidden);
    }
    expect(pathsWhere(({ pattern }) => pattern !== undefined && /\(\?|\\[1-9]/.test(pattern))).toEqual([]);
  });

  test("an integer-or-string has the one form that is structural", () => {
    const both = all.filter(({ schema }) => schema["x-kubernetes-int-or-string"] === true);
    expect(both.length).toBeGreaterThan(3);
    for (const { schema } of both) {
      expect(schema.anyOf).toEqual([{ type: "integer" }, { type: "string" }]);
      expect(schema.type).toBeUndefined();
    }
  });

  test("the example is a valid resource of ten lines or so", async () => {
    const text = await readFile(EXAMPLE, "utf8");
    expect(modelServing.safeParse(parse(text)).error?.issues ?? []).toEqual([]);
    expect(text.trimEnd().split("\n").length).toBeLessThanOrEqual(12);
  });
});

describe("what a structural schema cannot say is refused when it is generated", () => {
  const generate = (field: z.ZodType) => () => structuralSchema(z.strictObject({ field }));

  test.each([
    ["a union", z.union([z.string(), z.boolean()])],
    [
      "a discriminated union",
      z.discriminatedUnion("a", [z.object({ a: z.literal("b") }), z.object({ a: z.literal("c") })]),
    ],
    ["a value of any type", z.unknown()],
    ["a tuple", z.tuple([z.string(), z.string()])],
    [
      "an integer-or-string that is neither",
      z.union([z.boolean(), z.string()]).meta({ "x-kubernetes-int-or-string": true }),
    ],
  ])("%s", (_name, field) => {
    expect(generate(field)).toThrow(/^\.field/);
  });
});
