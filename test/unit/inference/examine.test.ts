import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { examine } from "../../../runtimes/inference/execution/examine.ts";
import { openInline } from "../../../runtimes/inference/execution/inline-runner.ts";
import {
  addSubModel,
  batchCoupledModel,
  gatherModel,
  gemmModel,
  identityModel,
  smallCnnModel,
} from "../../support/onnx-models.ts";

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "naru-examine-"));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

async function findings(bytes: Uint8Array, options = { maxSize: 8, warmupRuns: 2 }) {
  const path = join(directory, "model.onnx");
  await writeFile(path, bytes);
  const runner = await openInline(path, 1);
  const found = await examine(runner, options);
  await runner.close();
  return found;
}

test.each([
  ["a convolution", smallCnnModel()],
  ["fully connected layers", gemmModel([16, 32, 4])],
  ["two inputs", addSubModel()],
  ["strings", identityModel("BYTES")],
  ["booleans", identityModel("BOOL")],
  ["half precision", identityModel("FP16")],
  ["64-bit indices", gatherModel()],
  ["a second free dimension", identityModel("FP32", ["N", "length"])],
])("rows of %s may share a run, and both sizes are measured", async (_name, bytes) => {
  const found = await findings(bytes);
  expect(found).toMatchObject({ batchable: true, reason: "" });
  expect(found.rowMilliseconds).toBeGreaterThan(0);
  expect(found.batchMilliseconds).toBeGreaterThan(0);
});

test("rows that depend on each other never share a run, though the model declares a free first dimension", async () => {
  expect(await findings(batchCoupledModel())).toMatchObject({
    batchable: false,
    reason: "rows of output y depend on each other",
  });
});

test("a fixed first dimension is no batch", async () => {
  const found = await findings(gemmModel([16, 4], 2));
  expect(found).toMatchObject({ batchable: false });
  expect(found.reason).toMatch(/fixed/);
});

test("without warm-up runs nothing is measured, and whether rows may share a run is found out all the same", async () => {
  const found = await findings(batchCoupledModel(), { maxSize: 8, warmupRuns: 0 });
  expect(found.batchable).toBe(false);
  expect(found.rowMilliseconds).toBeUndefined();
});
