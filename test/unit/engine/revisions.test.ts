import fc from "fast-check";
import { expect, test } from "vitest";
import type { KubeObject } from "../../../operator/engine/objects.ts";
import { keptRevisions, readRevisions, revisionOf } from "../../../operator/engine/revisions.ts";

const owner: KubeObject = {
  apiVersion: "naru.dev/v1alpha1",
  kind: "ModelServing",
  metadata: { name: "digits", namespace: "default", uid: "u-1" },
};

/** Makes each input current in turn, as reconciles would, and answers what is kept in the end. */
function history(inputs: readonly object[], inUse: readonly object[] = [], limit = 10): KubeObject[] {
  let kept: KubeObject[] = [];
  for (const current of inputs) {
    kept = keptRevisions({
      owner,
      observed: readRevisions(kept),
      current,
      inUse: inUse.map(revisionOf),
      limit,
    });
  }
  return kept;
}

const input = (version: number) => ({ model: { uri: `https://models/${version}` } });
const versions = (objects: readonly KubeObject[]) =>
  readRevisions(objects).map(({ input: kept }) =>
    Number((kept as ReturnType<typeof input>).model.uri.slice(15)),
  );

test("a revision's name is stable, short, fit for a label, and blind to the order of fields", () => {
  expect(revisionOf({ a: 1, b: [{ c: 2, d: 3 }] })).toBe(revisionOf({ b: [{ d: 3, c: 2 }], a: 1 }));
  expect(revisionOf({ a: 1 })).toMatch(/^[bcdfghjklmnpqrstvwxz2456789]{10}$/);
  // Written down, since it names objects in clusters: a new version of Naru must find the old ones.
  expect(revisionOf({ model: { uri: "s3://models/digits/2/model.onnx" } })).toMatchInlineSnapshot(
    `"rwrdfq9hcv"`,
  );
});

test("inputs that differ have names that differ", () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.jsonValue(), (a, b) => {
      const same = revisionOf(a) === revisionOf(b);
      fc.pre(!same || JSON.stringify(a) !== JSON.stringify(b));
      if (same) expect(JSON.parse(JSON.stringify(a))).toEqual(JSON.parse(JSON.stringify(b)));
    }),
  );
});

test("an input that is current already is kept as it is: deciding again changes nothing", () => {
  const kept = history([input(1), input(2)]);
  expect(keptRevisions({ owner, observed: readRevisions(kept), current: input(2), inUse: [] })).toEqual(kept);
});

test("a kept revision holds its input, its number and its owner", () => {
  const [first, second] = history([input(1), input(2)]);
  expect(first).toMatchObject({
    apiVersion: "apps/v1",
    kind: "ControllerRevision",
    metadata: {
      name: `digits-${revisionOf(input(1))}`,
      namespace: "default",
      ownerReferences: [{ uid: "u-1", controller: true }],
    },
    data: input(1),
    revision: 1,
  });
  expect(second).toMatchObject({ data: input(2), revision: 2 });
});

test("the last ten inputs are kept", () => {
  const many = Array.from({ length: 15 }, (_, version) => input(version));
  expect(versions(history(many))).toEqual([5, 6, 7, 8, 9, 10, 11, 12, 13, 14]);
});

test("one in use is kept however old, and counts among the ten", () => {
  const many = Array.from({ length: 15 }, (_, version) => input(version));
  expect(versions(history(many, [input(0)]))).toEqual([0, 6, 7, 8, 9, 10, 11, 12, 13, 14]);
  expect(versions(history(many, [input(0), input(1)], 2))).toEqual([0, 1, 14]);
});

test("going back to an earlier input makes it the newest, under its old name", () => {
  const kept = history([input(1), input(2), input(1)]);
  expect(versions(kept)).toEqual([2, 1]);
  expect(kept).toHaveLength(2);
});

test("objects that are no revisions are not read as one", () => {
  const foreign: KubeObject = {
    apiVersion: "apps/v1",
    kind: "ControllerRevision",
    metadata: { name: "other" },
    data: {},
    revision: 7,
  };
  expect(readRevisions([foreign, owner])).toEqual([]);
});

test("a stored input that was tampered with is not taken for the current one", () => {
  const [first] = history([input(1)]);
  if (first === undefined) throw new Error("nothing kept");
  const observed = readRevisions([{ ...first, data: input(2) }]);
  expect(() => keptRevisions({ owner, observed, current: input(1), inUse: [] })).toThrow(/revision/);
});
