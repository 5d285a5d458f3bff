import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { fieldNamesHash } from "../../../operator/engine/field-names.ts";
import { itemKeys } from "../../../operator/engine/list-keys.ts";

/** The paths of all fields, in the plainest way. */
function paths(value: unknown, field = "", path: readonly unknown[] = []): string[] {
  if (value === undefined || value === null) return [];
  if (typeof value !== "object") return [JSON.stringify([path, "leaf"])];
  if (!Array.isArray(value)) {
    const below = Object.entries(value).flatMap(([name, item]) => paths(item, name, [...path, name]));
    return [JSON.stringify([path, "map"]), ...below];
  }
  const keys = itemKeys(field, value);
  const own = JSON.stringify([path, keys === undefined ? "list" : "map"]);
  return [own, ...value.flatMap((item, index) => paths(item, "", [...path, keys?.[index] ?? index]))];
}

/** Few names, so that many objects have the same fields; some lists have keys, and some items share one. */
const { json } = fc.letrec((tie) => ({
  json: fc.oneof(
    { maxDepth: 4 },
    fc.constantFrom<unknown>(undefined, null, 0, 1, "a", ""),
    fc.array(tie("json"), { maxLength: 3 }),
    fc.dictionary(fc.constantFrom("a", "b", "ab", "name"), tie("json"), { maxKeys: 3 }),
    fc.record({
      env: fc.array(fc.record({ name: fc.constantFrom("a", "b", "c"), value: tie("json") }), {
        maxLength: 3,
      }),
    }),
  ),
}));

describe("the hash of field names", () => {
  test("is equal exactly for the same set of fields, whatever their values and order", () => {
    fc.assert(
      fc.property(json, json, (a, b) => {
        const same = JSON.stringify(paths(a).sort()) === JSON.stringify(paths(b).sort());
        expect(fieldNamesHash(a) === fieldNamesHash(b)).toBe(same);
      }),
      { numRuns: 5_000 },
    );
  });

  test("tells names apart that run into each other, and maps from lists and values", () => {
    const all = [
      { a: { b: 0 } },
      { ab: 0 },
      { ab: {} },
      { ab: [] },
      { a: 0, b: 0 },
      { ba: 0 },
      {},
      [],
      [0],
      0,
    ];
    expect(new Set(all.map(fieldNamesHash)).size).toBe(all.length);
  });

  test("of containers that are met again, in this place or another, is that of others with the same fields", () => {
    const containers = [{ name: "server", env: [{ name: "A", value: "1" }] }];
    const places = [
      { containers },
      { spec: { containers } },
      { other: { containers }, spec: { containers } },
    ];
    const copies = structuredClone(places);
    for (const round of [1, 2]) {
      expect(places.map(fieldNamesHash), `round ${round}`).toEqual(copies.map(fieldNamesHash));
    }
    expect(new Set(places.map(fieldNamesHash)).size).toBe(places.length);
    const more = [{ name: "server", env: [{ name: "B", value: "1" }] }];
    expect(fieldNamesHash({ containers: more })).not.toBe(fieldNamesHash({ containers }));
  });

  test("of a hundred thousand single fields, few are alike", () => {
    const hashes = new Set(Array.from({ length: 100_000 }, (_, i) => fieldNamesHash({ [`field-${i}`]: 0 })));
    expect(hashes.size).toBeGreaterThan(99_990);
  });
});
