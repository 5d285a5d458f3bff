import { describe, expect, test } from "vitest";
import type { KubeObject } from "../../../operator/engine/objects.ts";
import { KindCache } from "../../../operator/kube/cache.ts";

const KIND = { apiVersion: "v1", kind: "Pod" };
let versions = 0;

function pod(
  name: string,
  labels: Record<string, string> = {},
  namespace = "default",
  uid = name,
): KubeObject {
  versions += 1;
  return { ...KIND, metadata: { name, namespace, uid, labels, resourceVersion: String(versions) } };
}

function cacheOf(index?: string): { cache: KindCache; told: string[]; thrown: unknown[] } {
  const thrown: unknown[] = [];
  const told: string[] = [];
  const cache = new KindCache({
    keep: (object) => object,
    onHandlerError: (error) => thrown.push(error),
    ...(index === undefined ? {} : { index }),
  });
  cache.watch(KIND, ({ type, object }) => void told.push(`${type} ${object.metadata.name}`));
  return { cache, told, thrown };
}

const names = (objects: readonly KubeObject[]) => objects.map(({ metadata }) => metadata.name);

describe("a cache of one kind", () => {
  test("finds by an indexed label what it finds without the index, whatever came and went", () => {
    const indexed = cacheOf("app").cache;
    const plain = cacheOf().cache;
    const steps: ((cache: KindCache) => void)[] = [
      ...["a", "b", "c", "d"].map((name, i) => {
        const object = pod(name, { app: i % 2 === 0 ? "even" : "odd" });
        return (cache: KindCache) => cache.put(object);
      }),
      (
        (object) => (cache: KindCache) =>
          cache.put(object)
      )(pod("a", { app: "odd" })),
      (
        (object) => (cache: KindCache) =>
          cache.put(object)
      )(pod("b", {})),
      (
        (object) => (cache: KindCache) =>
          cache.put(object)
      )(pod("a", { app: "odd" }, "elsewhere")),
      (
        (object) => (cache: KindCache) =>
          cache.remove(object)
      )(pod("d", { app: "odd" })),
      (cache) => cache.removeIf(({ metadata }) => metadata.name === "c"),
    ];
    for (const step of steps) {
      step(indexed);
      step(plain);
      for (const app of ["even", "odd", "none"]) {
        for (const namespace of ["default", "elsewhere"]) {
          const query = { namespace, labels: { app } };
          expect(names(indexed.list(query))).toEqual(names(plain.list(query)));
        }
      }
    }
    expect(names(indexed.list({ namespace: "default", labels: { app: "odd" } }))).toEqual(["a"]);
  });

  test("lists by namespace, then by name", () => {
    const { cache } = cacheOf();
    for (const [name, namespace] of [
      ["b", "y"],
      ["a", "y"],
      ["c", "x"],
    ] as const) {
      cache.put(pod(name, {}, namespace));
    }
    expect(names(cache.list({}))).toEqual(["c", "a", "b"]);
  });

  test("tells a version once, and another object of the same name as a deletion and an addition", () => {
    const { cache, told } = cacheOf();
    const first = pod("a", {}, "default", "first");
    cache.put(first);
    cache.put(first);
    cache.put(pod("a", {}, "default", "second"));
    expect(told).toEqual(["Added a", "Deleted a", "Added a"]);
  });

  test("a deletion of an object that was made anew meanwhile is none of the new one", () => {
    const { cache, told } = cacheOf();
    cache.put(pod("a", {}, "default", "second"));
    cache.remove(pod("a", {}, "default", "first"));
    expect(told).toEqual(["Added a"]);
    expect(cache.get("default", "a")?.metadata.uid).toBe("second");
  });

  test("a handler that throws is reported, and the others hear of everything", () => {
    const { cache, told, thrown } = cacheOf();
    const error = new Error("thrown on purpose");
    cache.watch(KIND, () => {
      throw error;
    });
    const after: string[] = [];
    cache.watch(KIND, ({ object }) => after.push(object.metadata.name));
    cache.put(pod("a"));
    cache.put(pod("b"));
    expect(thrown).toEqual([error, error]);
    expect(told).toEqual(["Added a", "Added b"]);
    expect(after).toEqual(["a", "b"]);
  });

  test("a watch that is stopped by another's handler hears nothing more", () => {
    const { cache } = cacheOf();
    const told: string[] = [];
    let second: { stop(): void } | undefined;
    cache.watch(KIND, () => second?.stop());
    second = cache.watch(KIND, ({ object }) => told.push(object.metadata.name));
    cache.put(pod("a"));
    expect(told).toEqual([]);
  });
});
