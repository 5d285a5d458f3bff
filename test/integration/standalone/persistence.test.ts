import { mkdir, mkdtemp, rm, rmdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Persistence, readObjects } from "../../../operator/standalone/persistence.ts";
import { Store } from "../../../operator/standalone/store.ts";
import { eventually } from "../../support/eventually.ts";

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "naru-test-"));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

test("what could not be written is told once and written as soon as it can be, though nothing changes any more", async () => {
  const told: string[] = [];
  const store = new Store({
    now: () => new Date(),
    onHandlerError: (error) => told.push(String(error)),
    graceful: new Set(),
  });
  const persistence = new Persistence(dir, store, (_, message) => told.push(message));
  // In the way of what is written, as a full disk would be.
  await mkdir(join(dir, "objects.json.tmp"));
  store.create({ apiVersion: "v1", kind: "ConfigMap", metadata: { name: "a", namespace: "default" } });
  await eventually("told", () => told.length > 0);
  expect(readObjects(dir)).toEqual([]);
  await rmdir(join(dir, "objects.json.tmp"));
  await eventually("written", () => readObjects(dir).length === 1);
  expect(told).toHaveLength(1);
  persistence.close();
});
