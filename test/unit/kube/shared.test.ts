import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { sharedWith } from "../../../operator/kube/shared.ts";

describe("what a cached object shares with one that is much like it", () => {
  test("is whatever is equal in both, at any depth; the rest is its own", () => {
    const model = {
      metadata: { name: "a" },
      spec: { probe: { path: "/livez", port: 1 }, ports: [{ port: 80 }, { port: 81 }] },
    };
    const value = sharedWith(model, {
      metadata: { name: "b" },
      spec: { probe: { path: "/livez", port: 1 }, ports: [{ port: 80 }, { port: 82 }] },
    });
    expect(value.spec.probe).toBe(model.spec.probe);
    expect(value.spec.ports[0]).toBe(model.spec.ports[0]);
    expect(value.spec.ports[1]).toEqual({ port: 82 });
    expect(value.metadata).toEqual({ name: "b" });
    expect(model.metadata).toEqual({ name: "a" });
  });

  test("changes neither what the value says nor the model, and is the model itself where nothing differs", () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.jsonValue(), (model, value) => {
        const kept = structuredClone(model);
        expect(sharedWith(model, structuredClone(value))).toEqual(value);
        expect(model).toEqual(kept);
        const same = sharedWith(model, structuredClone(model));
        expect(same).toEqual(model);
        if (typeof model === "object" && model !== null) expect(same).toBe(model);
      }),
    );
  });

  test("a field that the value lacks is not taken from the model, nor an inherited name for one", () => {
    expect(sharedWith({ a: 1, b: 2 }, { a: 1 })).toEqual({ a: 1 });
    expect(sharedWith({}, JSON.parse('{"constructor":{"a":1}}'))).toEqual({ constructor: { a: 1 } });
  });
});
