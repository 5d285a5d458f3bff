import { expect, test } from "vitest";
import { sameKind } from "../../../operator/engine/objects.ts";
import { modelServingKind } from "../../../operator/model-serving/kind.ts";

test("what a decision remembers by and what serves is needed for one, and is watched; add-ons are not needed", () => {
  const settings = { runtimeImage: "naru/runtime:1", namespace: "naru-system" };
  const { needs = [], owns, reads } = modelServingKind(settings, { publicKeys: [], sign: () => "" });
  expect(needs.map(({ kind }) => kind).sort()).toEqual([
    "ConfigMap",
    "ControllerRevision",
    "Deployment",
    "Pod",
    "Service",
  ]);
  const watched = [...owns, ...reads.map(({ kind }) => kind)];
  expect(needs.filter((needed) => !watched.some((kind) => sameKind(kind, needed)))).toEqual([]);
});
