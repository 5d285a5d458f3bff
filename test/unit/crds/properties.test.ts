import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { customResourceDefinition } from "../../../crds/manifest.ts";
import { modelServingDefinition } from "../../../crds/model-serving/definition.ts";
import { status } from "../../../crds/model-serving/status.ts";
import { modelServing, modelServingSpec } from "../../../crds/model-serving.ts";
import { applyDefaults, brokenRules, prune, schemaValidator } from "../../support/structural-admission.ts";
import { zodArbitrary } from "../../support/zod-arbitrary.ts";

const root = customResourceDefinition(modelServingDefinition, modelServing).spec.versions[0]?.schema
  .openAPIV3Schema;
const specSchema = root?.properties?.spec;
const statusSchema = root?.properties?.status;
if (specSchema === undefined || statusSchema === undefined) throw new Error("no schema");
const validSpec = schemaValidator(specSchema);
const validStatus = schemaValidator(statusSchema);

describe("whatever zod accepts survives the generated schema", () => {
  test("a spec: unpruned, valid, within every rule, with the same defaults", () => {
    fc.assert(
      fc.property(zodArbitrary(modelServingSpec, true), (spec) => {
        expect(prune(specSchema, spec)).toEqual(spec);
        const stored = applyDefaults(specSchema, spec);
        expect(validSpec(stored), JSON.stringify(validSpec.errors)).toBe(true);
        expect(brokenRules(specSchema, stored)).toEqual([]);
        expect(modelServingSpec.parse(spec)).toEqual(stored);
      }),
      { numRuns: 200 },
    );
  });

  test("a status: unpruned and valid", () => {
    fc.assert(
      fc.property(zodArbitrary(status, true), (value) => {
        expect(prune(statusSchema, value)).toEqual(value);
        expect(validStatus(value), JSON.stringify(validStatus.errors)).toBe(true);
      }),
      { numRuns: 200 },
    );
  });

  test("a resource as stored is accepted again and stays as it is: defaults are written once", () => {
    fc.assert(
      fc.property(zodArbitrary(modelServingSpec, true), (spec) => {
        const stored = modelServingSpec.parse(spec);
        expect(modelServingSpec.parse(stored)).toEqual(stored);
      }),
      { numRuns: 100 },
    );
  });
});

test("where rules are broken, zod and CEL break the same ones", () => {
  const broken = new Set<string>();
  fc.assert(
    fc.property(zodArbitrary(modelServingSpec, false), (spec) => {
      const stored = applyDefaults(specSchema, spec);
      const byCel = validSpec(stored) ? brokenRules(specSchema, stored) : undefined;
      const issues = modelServingSpec.safeParse(spec).error?.issues ?? [];
      const structural = issues.some((issue) => issue.code !== "custom");
      // A value that the schema itself refuses is not told about rules in full by either.
      expect(byCel === undefined).toBe(structural);
      if (byCel === undefined || structural) return;
      const byZod = issues.map((issue) => issue.message);
      for (const message of byCel) broken.add(message);
      expect(new Set(byZod)).toEqual(new Set(byCel));
    }),
    { numRuns: 500 },
  );
  // The values do break rules, or this would show nothing.
  expect(broken.size).toBeGreaterThan(5);
});
