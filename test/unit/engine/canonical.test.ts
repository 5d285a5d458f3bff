import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { canonicalJson, sameJson } from "../../../operator/engine/canonical.ts";

/** What canonical JSON means, said in the plainest way. */
function reference(value: unknown): string {
  return JSON.stringify(value, (_, field) =>
    field !== null && typeof field === "object" && !Array.isArray(field)
      ? Object.fromEntries(Object.entries(field).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)))
      : field,
  );
}

/** Any JSON, with fields and items that are undefined too; few names and values, so that many are equal. */
const { json } = fc.letrec((tie) => ({
  json: fc.oneof(
    { maxDepth: 4 },
    fc.constantFrom<unknown>(undefined, null, true, 0, -0, 1.5, "", "a", "é\n", "__proto__", new Date(0)),
    fc.array(tie("json"), { maxLength: 3 }),
    fc.dictionary(fc.constantFrom("a", "b", "B", "é", "10", "9", "constructor"), tie("json"), { maxKeys: 3 }),
  ),
}));

describe("canonical JSON", () => {
  test("is JSON with sorted names and without what is undefined", () => {
    // Names that look like numbers are moved ahead by fromEntries, so the reference can't have them.
    const named = json.filter((value) => !/"(9|10)":/.test(JSON.stringify(value) ?? ""));
    fc.assert(
      fc.property(named, (value) => void expect(canonicalJson(value)).toBe(reference(value) ?? "null")),
    );
  });

  test("sorts names by code unit, also those that look like numbers", () => {
    expect(canonicalJson({ b: 1, 9: 2, 10: 3, a: [{ d: 1, c: undefined }] })).toBe(
      '{"10":3,"9":2,"a":[{"d":1}],"b":1}',
    );
  });

  test("is the same for two values exactly if they are the same JSON", () => {
    fc.assert(
      fc.property(
        json,
        json,
        (a, b) => void expect(sameJson(a, b)).toBe(canonicalJson(a) === canonicalJson(b)),
      ),
      { numRuns: 2_000 },
    );
    fc.assert(fc.property(json, (a) => void expect(sameJson(a, structuredClone(a))).toBe(true)));
  });

  test("an inherited name is no field", () => {
    expect(sameJson({ constructor: Object }, {})).toBe(false);
    expect(sameJson({ toString: undefined }, {})).toBe(true);
  });
});
