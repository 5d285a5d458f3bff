import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { canonicalJson } from "../../../operator/engine/canonical.ts";
import { APPLIED, differs, projectionHash, toApply } from "../../../operator/engine/diff.ts";
import { itemKeys } from "../../../operator/engine/list-keys.ts";
import { type KubeObject, refOf } from "../../../operator/engine/objects.ts";
import { nanos, sameQuantity } from "../../../operator/engine/quantity.ts";
import { MemoryCluster } from "../../support/memory-cluster.ts";

const DEPLOYMENT = { apiVersion: "apps/v1", kind: "Deployment" };

function deployment(spec: unknown, metadata: Partial<KubeObject["metadata"]> = {}): KubeObject {
  return { ...DEPLOYMENT, metadata: { name: "d", namespace: "default", ...metadata }, spec };
}

function asStored(wanted: KubeObject): KubeObject {
  return structuredClone(toApply(wanted));
}

describe("differs", () => {
  test("not for fields that the server defaulted or others added, at any depth", () => {
    const wanted = deployment(
      {
        template: {
          spec: { containers: [{ name: "server", ports: [{ name: "http", containerPort: 8080 }] }] },
        },
      },
      { labels: { ours: "1" } },
    );
    const observed = asStored(wanted);
    observed.metadata = {
      ...observed.metadata,
      uid: "u",
      resourceVersion: "7",
      labels: { ours: "1", theirs: "1" },
      annotations: { ...observed.metadata.annotations, "deployment.kubernetes.io/revision": "3" },
    };
    observed.spec = {
      replicas: 1,
      template: {
        spec: {
          containers: [
            { name: "injected", image: "sidecar" },
            {
              name: "server",
              imagePullPolicy: "IfNotPresent",
              ports: [{ name: "http", containerPort: 8080, protocol: "TCP" }],
            },
          ],
          restartPolicy: "Always",
        },
      },
    };
    observed.status = { replicas: 1 };
    expect(differs(wanted, observed)).toBe(false);
  });

  test.each([
    ["a value", { replicas: 3 }, { replicas: 2 }],
    ["an item of an atomic list", { args: ["a", "b"] }, { args: ["a", "c"] }],
    ["the length of an atomic list", { args: ["a"] }, { args: ["a", "b"] }],
    ["the order of an atomic list", { args: ["a", "b"] }, { args: ["b", "a"] }],
    ["an item of a keyed list", { env: [{ name: "A", value: "1" }] }, { env: [{ name: "A", value: "2" }] }],
    [
      "a keyed item that is missing",
      { env: [{ name: "A", value: "1" }] },
      { env: [{ name: "B", value: "1" }] },
    ],
    ["a map that became something else", { strategy: { type: "Recreate" } }, { strategy: "Recreate" }],
    ["an int-or-string of the other type", { maxSurge: 1 }, { maxSurge: "1" }],
    [
      "a string that only looks like a quantity",
      { env: [{ name: "A", value: "1" }] },
      { env: [{ name: "A", value: "1000m" }] },
    ],
  ])("for %s", (_what, wanted, observed) => {
    const stored = { ...asStored(deployment(wanted)), spec: observed };
    expect(differs(deployment(wanted), stored)).toBe(true);
    expect(differs(deployment(wanted), asStored(deployment(wanted)))).toBe(false);
  });

  test.each([
    ["a field", { replicas: 1, paused: true }, { replicas: 1 }],
    [
      "a field inside an item of an atomic list",
      { tolerations: [{ key: "gpu", value: "x" }] },
      { tolerations: [{ key: "gpu" }] },
    ],
    ["an item of a keyed list", { env: [{ name: "A" }, { name: "B" }] }, { env: [{ name: "A" }] }],
    ["a whole map", { selector: { a: "1" } }, {}],
    ["an empty map", { volumes: [{ name: "v", emptyDir: {} }] }, { volumes: [{ name: "v" }] }],
  ])("for %s that was applied and is wanted no longer", (_what, before, after) => {
    const stored = asStored(deployment(before));
    expect(differs(deployment(after), stored)).toBe(true);
    // Only what was applied tells: by its fields alone, the one that was given up could be the server's default.
    const { metadata } = toApply(deployment(after));
    expect(differs(deployment(after), { ...stored, metadata })).toBe(false);
  });

  test("for a label or an owner reference that is gone", () => {
    const owner = { apiVersion: "v1", kind: "X", name: "x", uid: "1", controller: true };
    const wanted = deployment({}, { labels: { a: "1" }, ownerReferences: [owner] });
    const observed = asStored(wanted);
    expect(differs(wanted, observed)).toBe(false);
    const { labels: _, ...unlabelled } = observed.metadata;
    expect(differs(wanted, { ...observed, metadata: unlabelled })).toBe(true);
    const { ownerReferences: __, ...unowned } = observed.metadata;
    expect(differs(wanted, { ...observed, metadata: unowned })).toBe(true);
  });

  test("for an object that was never applied", () => {
    expect(differs(deployment({}), deployment({}))).toBe(true);
  });

  test("not for a value that was copied from what was observed, whatever it was before", () => {
    // An autoscaler moved replicas from 2 to 5, and decide copies the 5.
    const observed = { ...asStored(deployment({ replicas: 2 })), spec: { replicas: 5 } };
    expect(differs(deployment({ replicas: 5 }), observed)).toBe(false);
  });

  test("not for quantities that a server writes in its own way, and status", () => {
    const wanted = {
      ...deployment({
        containers: [
          { name: "c", resources: { limits: { cpu: "1000m", memory: "1024Mi" }, requests: { cpu: 2 } } },
        ],
        volumes: [{ name: "v", emptyDir: { sizeLimit: "1024Mi" } }],
      }),
      status: { replicas: 7 },
    };
    const observed = asStored(wanted);
    observed.spec = {
      containers: [{ name: "c", resources: { limits: { cpu: "1", memory: "1Gi" }, requests: { cpu: "2" } } }],
      volumes: [{ name: "v", emptyDir: { sizeLimit: "1Gi" } }],
    };
    expect(differs(wanted, observed)).toBe(false);
  });
});

describe("what is sent", () => {
  test("is complete but for status, and says which fields were applied", () => {
    const sent = toApply({ ...deployment({ replicas: 2 }, { annotations: { a: "1" } }), status: { x: 1 } });
    expect(sent).toEqual({
      ...deployment({ replicas: 2 }),
      metadata: {
        name: "d",
        namespace: "default",
        annotations: { a: "1", [APPLIED]: expect.stringMatching(/^[a-z0-9]{6,11}$/) },
      },
    });
  });
});

describe("against server-side apply itself", () => {
  const word = fc.constantFrom("a", "b", "c");
  const scalar = fc.oneof(word, fc.integer({ min: 0, max: 2 }), fc.boolean());
  const optional = <T>(of: fc.Arbitrary<T>) => fc.option(of, { nil: undefined });
  const keyed = <T extends object>(key: string, fields: fc.Arbitrary<T>) =>
    fc.uniqueArray(
      fc.tuple(word, fields).map(([name, rest]) => ({ [key]: name, ...rest })),
      { maxLength: 3, selector: (item) => (item as Record<string, unknown>)[key] },
    );
  const env = keyed("name", fc.record({ value: scalar }));
  const container = fc.record({
    image: optional(word),
    args: optional(fc.array(word, { maxLength: 2 })),
    env: optional(env),
    settings: optional(fc.dictionary(word, scalar, { maxKeys: 3 })),
  });
  const spec = fc.record({
    replicas: optional(fc.integer({ min: 0, max: 2 })),
    tolerations: optional(
      fc.array(fc.record({ key: optional(word), value: optional(word) }), { maxLength: 2 }),
    ),
    containers: optional(keyed("name", container)),
  });
  const wanted = fc
    .tuple(spec, fc.dictionary(word, word, { maxKeys: 2 }))
    .map(([value, labels]) => deployment(JSON.parse(JSON.stringify(value)), { labels }));

  test("a request is sent exactly if it would change something", async () => {
    await fc.assert(
      fc.asyncProperty(
        wanted,
        fc.option(wanted, { nil: undefined }),
        wanted,
        async (first, others, second) => {
          const cluster = new MemoryCluster([DEPLOYMENT]);
          await cluster.apply(toApply(first));
          if (others !== undefined) await cluster.applyAs("others", withoutAtomicItems(others));
          for (const object of [first, second]) {
            const before = cluster.stored(refOf(object));
            if (before === undefined) throw new Error("nothing is stored");
            const { object: after } = await cluster.apply(toApply(object));
            expect(differs(object, before)).toBe(unordered(before) !== unordered(after));
            expect(differs(object, after)).toBe(false);
          }
        },
      ),
      { numRuns: 500 },
    );
  });

  test("two answers have one projection exactly if they hold the same in the fields that are wanted", async () => {
    await fc.assert(
      fc.asyncProperty(wanted, wanted, async (first, others) => {
        const cluster = new MemoryCluster([DEPLOYMENT]);
        const { object: alone } = await cluster.apply(toApply(first));
        const shared = await cluster.applyAs("others", others);
        expect(projectionHash(first, alone) === projectionHash(first, shared)).toBe(!differs(first, shared));
      }),
    );
  });

  /** What somebody adds inside an item of an atomic list can't be told from a default. */
  function withoutAtomicItems(object: KubeObject): KubeObject {
    const { tolerations: _, ...rest } = object.spec as Record<string, unknown>;
    return { ...object, spec: rest };
  }

  /** As canonical JSON, without versions, with the items of keyed lists in the order of their keys. */
  function unordered(object: KubeObject): string {
    const sort = (value: unknown, field: string): unknown => {
      if (Array.isArray(value)) {
        const items = value.map((item) => sort(item, ""));
        return itemKeys(field, value) === undefined
          ? items
          : items.sort((a, b) => (canonicalJson(a) < canonicalJson(b) ? -1 : 1));
      }
      if (value === null || typeof value !== "object") return value;
      return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, sort(item, name)]));
    };
    const { labels, annotations } = object.metadata;
    return canonicalJson(sort({ spec: object.spec, labels, annotations }, ""));
  }
});

describe("quantities", () => {
  test.each([
    ["1", 1],
    ["1000m", "1"],
    ["0.5", "500m"],
    ["1e3", "1k"],
    ["1E3", "1000"],
    ["1E", "1e18"],
    ["1.5Gi", "1536Mi"],
    ["0.1n", "1n"],
    [".5", "500m"],
    ["1.", "1"],
    ["+1", "1"],
    ["-1000m", "-1"],
  ])("%s is %s", (a, b) => {
    expect(sameQuantity(a, b)).toBe(true);
  });

  test.each([
    ["1", "1001m"],
    ["1M", "1Mi"],
    ["1", ""],
    ["1", "one"],
    ["1", undefined],
    ["1", "1 "],
    ["m", "m"],
    [".", "."],
    ["1", "1kk"],
  ])("%s is not %s", (a, b) => {
    expect(sameQuantity(a, b)).toBe(false);
  });

  test("whatever the text, it is answered at once and without a throw", () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        nanos(text);
      }),
    );
    expect(nanos("9".repeat(10_000))).toBeUndefined();
  });

  test("decimal text and its milli form are the same", () => {
    fc.assert(
      fc.property(fc.integer({ min: -1_000_000, max: 1_000_000 }), (thousandths) => {
        expect(sameQuantity(`${thousandths}m`, (thousandths / 1000).toFixed(3))).toBe(true);
      }),
    );
  });
});
