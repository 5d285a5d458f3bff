import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { followLog } from "../../../operator/standalone/client.ts";
import { BoundedLog, tailOf } from "../../../operator/standalone/logs.ts";

const fail = (error: unknown) => {
  throw error;
};
let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "naru-test-"));
});
afterEach(() => rmSync(dir, { recursive: true }));

test("a log takes no more than twice its bound, and holds the newest lines", () => {
  const file = join(dir, "a/b.log");
  const log = new BoundedLog(file, fail, 100);
  for (let i = 0; i < 50; i++) log.write(Buffer.from(`line ${i}\n`));
  log.close();
  expect(statSync(file).size).toBeLessThanOrEqual(100);
  expect(statSync(`${file}.1`).size).toBeLessThanOrEqual(100);
  const lines = (readFileSync(`${file}.1`, "utf8") + readFileSync(file, "utf8")).trim().split("\n");
  expect(lines.at(-1)).toBe("line 49");
  expect(lines).toEqual(Array.from({ length: lines.length }, (_, i) => `line ${50 - lines.length + i}`));
});

test("its tail begins with a whole line", () => {
  const file = join(dir, "b.log");
  const log = new BoundedLog(file, fail);
  log.write(Buffer.from("first line\nsecond\n"));
  log.close();
  expect(tailOf(file, 12)).toBe("second\n");
  expect(tailOf(file, 1000)).toBe("first line\nsecond\n");
  expect(tailOf(join(dir, "absent"), 10)).toBe("");
});

test("whoever follows it goes on in the next file", async () => {
  const file = join(dir, "c.log");
  const log = new BoundedLog(file, fail, 30);
  log.write(Buffer.from("one one one one one\n"));
  const stop = new AbortController();
  let text = "";
  for await (const chunk of followLog(file, 4, stop.signal)) {
    text += chunk;
    if (text === "one one one one\n") log.write(Buffer.from("two two two\n"));
    if (text.includes("two\n")) stop.abort();
  }
  log.close();
  expect(text).toBe("one one one one\ntwo two two\n");
});

test.skipIf(!existsSync("/dev/full"))("a full disk is told once, and ends nobody", () => {
  const told: unknown[] = [];
  const log = new BoundedLog("/dev/full", (error) => told.push(error));
  for (let i = 0; i < 3; i++) log.write(Buffer.from("line\n"));
  log.close();
  expect(told).toEqual([expect.objectContaining({ code: "ENOSPC" })]);
});
