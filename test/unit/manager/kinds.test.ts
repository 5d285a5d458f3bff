import { expect, test } from "vitest";
import { APPLIED } from "../../../operator/engine/diff.ts";
import type { KubeObject } from "../../../operator/engine/objects.ts";
import { kindRules } from "../../../operator/manager/kinds.ts";
import { CONFIG_MAP, configMapOf, widget, widgetKind } from "../../support/widgets.ts";

const rules = kindRules([widgetKind()]);
const ofConfigMaps = rules.find(({ kind }) => kind === "ConfigMap");
const foreign: KubeObject = {
  ...CONFIG_MAP,
  metadata: { name: "theirs", namespace: "default", uid: "1", resourceVersion: "7", labels: { a: "b" } },
  data: { large: "x".repeat(1000) },
};

test("every kind of a controller is read, and pods only where they are ours", () => {
  expect(rules.map(({ kind }) => kind)).toEqual([
    "Widget",
    "ConfigMap",
    "Secret",
    "ControllerRevision",
    "Pod",
  ]);
  expect(rules.at(-1)).toMatchObject({
    labelSelector: "naru.dev/model-serving",
    index: "naru.dev/model-serving",
  });
});

test("of somebody else's object no more is kept than who it is", () => {
  expect(ofConfigMaps?.keep?.(foreign)).toEqual({
    ...CONFIG_MAP,
    metadata: { name: "theirs", namespace: "default", uid: "1", resourceVersion: "7" },
  });
});

test("a child is kept whole, also one that lost its owner reference", () => {
  const child = configMapOf(widget("w"), "a", { value: "1" });
  expect(ofConfigMaps?.keep?.(child)).toBe(child);
  const orphan = { ...foreign, metadata: { ...foreign.metadata, annotations: { [APPLIED]: "1" } } };
  expect(ofConfigMaps?.keep?.(orphan)).toBe(orphan);
});

test("somebody else's child is not ours", () => {
  const owner = { apiVersion: "apps/v1", kind: "ReplicaSet", name: "r", uid: "2", controller: true };
  const child = { ...foreign, metadata: { ...foreign.metadata, ownerReferences: [owner] } };
  expect(ofConfigMaps?.keep?.(child)).toEqual({
    ...CONFIG_MAP,
    metadata: {
      name: "theirs",
      namespace: "default",
      uid: "1",
      resourceVersion: "7",
      ownerReferences: [owner],
    },
  });
});
