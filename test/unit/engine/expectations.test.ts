import { beforeEach, expect, test } from "vitest";
import type { Cluster } from "../../../operator/engine/cluster.ts";
import { Expectations } from "../../../operator/engine/expectations.ts";
import type { KubeObject } from "../../../operator/engine/objects.ts";
import { FakeClock } from "../../support/fake-clock.ts";

let clock: FakeClock;
let expectations: Expectations;
let cached: KubeObject | undefined;
const cluster = { get: () => cached } as Pick<Cluster, "get"> as Cluster;

function object(resourceVersion: string, uid = "u", more: Partial<KubeObject["metadata"]> = {}): KubeObject {
  return {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name: "a", namespace: "n", uid, resourceVersion, ...more },
  };
}

beforeEach(() => {
  clock = new FakeClock();
  expectations = new Expectations(clock);
  cached = undefined;
});

test("a write is waited for until the cache shows that version or a later one", () => {
  expectations.wrote(object("10"));
  expect(expectations.wait(cluster)).toBeGreaterThan(0);
  cached = object("9");
  expect(expectations.wait(cluster)).toBeGreaterThan(0);
  cached = object("10");
  expect(expectations.wait(cluster)).toBe(0);
});

test("versions are compared as numbers: a relist may jump over the one that was written", () => {
  expectations.wrote(object("99"));
  cached = object("100");
  expect(expectations.wait(cluster)).toBe(0);
  expectations.wrote(object("18446744073709551616"));
  cached = object("18446744073709551615");
  expect(expectations.wait(cluster)).toBeGreaterThan(0);
  cached = object("18446744073709551616");
  expect(expectations.wait(cluster)).toBe(0);
});

test("a version that is no integer is never waited for: nothing is known of its order", () => {
  expectations.wrote(object("100"));
  cached = object("opaque");
  expect(expectations.wait(cluster)).toBe(0);
});

test("a deletion is waited for until the object is gone, going, or another of its name is there", () => {
  cached = object("1");
  expectations.deleted(object("1"));
  expect(expectations.wait(cluster)).toBeGreaterThan(0);
  cached = object("2", "u", { deletionTimestamp: "2026-01-01T00:00:00Z" });
  expect(expectations.wait(cluster)).toBe(0);
  expectations.deleted(object("2"));
  cached = object("3", "another");
  expect(expectations.wait(cluster)).toBe(0);
  expectations.deleted(object("3", "another"));
  cached = undefined;
  expect(expectations.wait(cluster)).toBe(0);
});

test("after a conflict, anything but the stale version will do", () => {
  cached = object("5");
  expectations.outdated(object("5"));
  expect(expectations.wait(cluster)).toBeGreaterThan(0);
  cached = object("6");
  expect(expectations.wait(cluster)).toBe(0);
});

test("what a watch told to be gone is waited for no longer, another of its name still is", () => {
  expectations.wrote(object("10", "mine"));
  expectations.gone(object("8", "earlier"));
  expect(expectations.wait(cluster)).toBeGreaterThan(0);
  expectations.gone(object("11", "mine"));
  expect(expectations.wait(cluster)).toBe(0);
});

test("nothing is waited for longer than ten seconds", () => {
  expectations.wrote(object("10"));
  expect(expectations.wait(cluster)).toBe(10_000);
  clock.advance(9999);
  expect(expectations.wait(cluster)).toBe(1);
  clock.advance(1);
  expect(expectations.wait(cluster)).toBe(0);
});
