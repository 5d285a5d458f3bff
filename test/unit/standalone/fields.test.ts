import { describe, expect, test } from "vitest";
import type { KubeObject } from "../../../operator/engine/objects.ts";
import { applyFields } from "../../../operator/standalone/fields.ts";

const object = (fields: Record<string, unknown>, meta: Record<string, unknown> = {}): KubeObject => ({
  apiVersion: "v1",
  kind: "Thing",
  metadata: { name: "a", ...meta },
  ...fields,
});

/** Applies one after another, as `manager: fields`; answers the last outcome. */
function applied(...steps: [manager: string, object: KubeObject][]) {
  let live: KubeObject | undefined;
  let takenFrom: string[] = [];
  for (const [manager, wanted] of steps) ({ object: live, takenFrom } = applyFields(live, wanted, manager));
  const { managedFields: _, ...metadata } = live?.metadata ?? { name: "" };
  return { object: { ...live, metadata } as Record<string, unknown>, takenFrom };
}

describe("server-side apply", () => {
  test("drops what a manager gave up, down to the empty map, and keeps what another one owns too", () => {
    const { object: after } = applied(
      ["us", object({ spec: { a: 1, b: { c: 2 }, shared: 3 } })],
      ["them", object({ spec: { shared: 3 } })],
      ["us", object({ spec: { a: 1 } })],
    );
    expect(after.spec).toEqual({ a: 1, shared: 3 });
  });

  test("merges keyed lists item by item, and replaces others whole", () => {
    const { object: after } = applied(
      ["us", object({ containers: [{ name: "x", image: "1", args: ["a", "b"] }] })],
      ["them", object({ containers: [{ name: "side", image: "2" }] })],
      ["us", object({ containers: [{ name: "x", image: "3", args: ["c"] }] })],
    );
    expect(after.containers).toEqual([
      { name: "x", image: "3", args: ["c"] },
      { name: "side", image: "2" },
    ]);
  });

  test("takes an item of a keyed list out with its last field", () => {
    const env = (...names: string[]) => object({ env: names.map((name) => ({ name, value: "1" })) });
    expect(applied(["us", env("A", "B")], ["us", env("B")]).object.env).toEqual([{ name: "B", value: "1" }]);
    expect(applied(["us", env("A")], ["us", object({})]).object).not.toHaveProperty("env");
  });

  test("names the managers whose values it changed, once, and no one whose value is the same", () => {
    const steps: [string, KubeObject][] = [
      ["equal", object({ spec: { a: 1 } })],
      ["other", object({ spec: { b: 2, own: 1 } })],
      ["us", object({ spec: { a: 1, b: 3 } })],
    ];
    expect(applied(...steps)).toMatchObject({
      takenFrom: ["other"],
      object: { spec: { a: 1, b: 3, own: 1 } },
    });
    expect(applied(...steps, ["us", object({ spec: { a: 1, b: 4 } })]).takenFrom).toEqual([]);
  });

  test("a map in place of a value, and a value in place of a map, are changes like any other", () => {
    const { takenFrom, object: after } = applied(
      ["other", object({ spec: { a: { b: 1 } } })],
      ["us", object({ spec: { a: "text" } })],
    );
    expect(after.spec).toEqual({ a: "text" });
    expect(takenFrom).toEqual(["other"]);
    expect(
      applied(["us", object({ spec: { a: "text" } })], ["us", object({ spec: { a: {} } })]).object.spec,
    ).toEqual({ a: {} });
  });

  test("never touches status or identity", () => {
    const live = {
      ...object({ status: { ready: true } }),
      metadata: { name: "a", uid: "u", resourceVersion: "7" },
    };
    const { object: after } = applyFields(live, object({ status: { ready: false }, spec: {} }), "us");
    expect(after).toMatchObject({ status: { ready: true }, metadata: { uid: "u", resourceVersion: "7" } });
  });
});
