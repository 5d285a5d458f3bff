import { describe, expect, test } from "vitest";
import { customResourceDefinition } from "../../../crds/manifest.ts";
import { modelServingDefinition } from "../../../crds/model-serving/definition.ts";
import { modelServing } from "../../../crds/model-serving.ts";
import { modelServingCases, resourceOf } from "../../support/model-serving-cases.ts";
import { applyDefaults, brokenRules, prune, schemaValidator } from "../../support/structural-admission.ts";

const root = customResourceDefinition(modelServingDefinition, modelServing).spec.versions[0]?.schema
  .openAPIV3Schema;
if (root === undefined) throw new Error("no schema");
const schema = root;
const valid = schemaValidator(schema);

/** What zod says of a resource: the messages of its rules, and whether anything else is wrong. */
function byZod(resource: unknown) {
  const result = modelServing.safeParse(resource);
  const issues = result.error?.issues ?? [];
  return {
    ok: result.success,
    messages: issues.filter((issue) => issue.code === "custom").map((issue) => issue.message),
    stored: result.data,
  };
}

/** What an API server says of it, with kubectl's strict field validation. */
function bySchema(resource: unknown) {
  const pruned = prune(schema, resource);
  const unknownFields = JSON.stringify(pruned) !== JSON.stringify(resource);
  const stored = applyDefaults(schema, pruned);
  const fits = valid(stored);
  return {
    ok: fits && !unknownFields && brokenRules(schema, stored).length === 0,
    messages: fits ? brokenRules(schema, stored) : [],
    stored,
  };
}

describe("a ModelServing is judged alike by zod and by the generated schema with its CEL", () => {
  for (const one of modelServingCases) {
    const resource = resourceOf(one, "digits");
    if (one.refused === undefined) {
      test(`accepted: ${one.name}`, () => {
        const zod = byZod(resource);
        expect(zod.messages).toEqual([]);
        expect(zod.ok).toBe(true);
        expect(bySchema(resource)).toEqual(zod);
      });
    } else if (one.bySchema) {
      test(`refused by the schema: ${one.name}`, () => {
        expect(byZod(resource).ok).toBe(false);
        expect(bySchema(resource).ok).toBe(false);
      });
    } else {
      test(`refused: ${one.name}`, () => {
        const zod = byZod(resource);
        const cel = bySchema(resource);
        expect(zod.messages.filter((message) => message.startsWith(one.refused ?? ""))).toHaveLength(1);
        expect(cel.messages.toSorted()).toEqual(zod.messages.toSorted());
        expect(zod.ok || cel.ok).toBe(false);
      });
    }
  }
});
