import { mkdtemp, rm, symlink, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { NaruError } from "../../../lib/errors.ts";
import { checkModelFile } from "../../../lib/onnx/model-file.ts";
import { openSession } from "../../../lib/onnx/session.ts";
import { gemmModel, identityModel, smallCnnModel } from "../../support/onnx-models.ts";
import { writeOnnx } from "../../support/onnx-writer.ts";

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "naru-onnx-"));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

async function saved(bytes: Uint8Array | string, name = "model.onnx"): Promise<string> {
  const path = join(directory, name);
  await writeFile(path, bytes);
  return path;
}

test("a model tells its inputs and outputs, and -1 for what each request chooses", async () => {
  const session = await openSession(await saved(smallCnnModel()), 1);
  expect(session.metadata).toEqual({
    inputs: [{ name: "image", datatype: "FP32", shape: [-1, 1, 8, 8], symbols: ["N", "", "", ""] }],
    outputs: [{ name: "scores", datatype: "FP32", shape: [-1, 10], symbols: ["N", ""] }],
  });
  await session.release();
});

describe("a model that can't be served is refused with the tensor's name", () => {
  for (const type of ["BF16", "INT4", "UINT4"] as const) {
    test(type, async () => {
      const path = await saved(
        writeOnnx({
          inputs: [{ name: "activations", type, shape: [1, 4] }],
          outputs: [{ name: "y", type: "FP32", shape: [1, 4] }],
          nodes: [{ op: "Cast", inputs: ["activations"], outputs: ["y"], ints: { to: 1 } }],
        }),
      );
      const opening = openSession(path, 1);
      await expect(opening).rejects.toMatchObject({ code: "UnsupportedTensor" });
      await expect(opening).rejects.toThrow(new RegExp(`"activations".*${type}`));
    });
  }
});

describe("weights that lie in another file", () => {
  /** y = x + w, with w in the file that `external` names. */
  const withWeights = (external: string) =>
    writeOnnx({
      inputs: [{ name: "x", type: "FP32", shape: [4] }],
      outputs: [{ name: "y", type: "FP32", shape: [4] }],
      nodes: [{ op: "Add", inputs: ["x", "w"], outputs: ["y"] }],
      initializers: [{ name: "w", shape: [4], data: new Float32Array(4), external }],
    });

  test("are read beside the model", async () => {
    await saved(new Uint8Array(Float32Array.of(1, 2, 3, 4).buffer), "weights.bin");
    const session = await openSession(await saved(withWeights("weights.bin")), 1);
    const zeros = { datatype: "FP32" as const, shape: [4], data: new Float32Array(4) };
    const [y] = await session.run([zeros], ["y"]);
    expect([...(y?.data ?? [])]).toEqual([1, 2, 3, 4]);
    await session.release();
  });

  test("are read from nowhere else: a model can't show its clients another file of the pod", async () => {
    const outside = await mkdtemp(join(tmpdir(), "naru-outside-"));
    try {
      const secret = join(outside, "secret.bin");
      await writeFile(secret, new Uint8Array(16));
      await symlink(secret, join(directory, "link.bin"));
      for (const path of [secret, `../${basename(outside)}/secret.bin`, "link.bin"]) {
        const opening = openSession(await saved(withWeights(path)), 1);
        await expect(opening, path).rejects.toMatchObject({ code: "InvalidModel" });
      }
    } finally {
      await rm(outside, { recursive: true, force: true });
    }
  });
});

describe("a file that is no ONNX model is refused with what it is", () => {
  test.each([
    ["an empty file", "", /no graph/],
    ["text", "hello, world", /not an ONNX model/],
    ["a Git LFS pointer", "version https://git-lfs.github.com/spec/v1\noid sha256:00\n", /Git LFS pointer/],
    ["a web page", "<!doctype html><html></html>", /HTML/],
  ])("%s", async (_name, bytes, message) => {
    const opening = openSession(await saved(bytes), 1);
    await expect(opening).rejects.toMatchObject({ code: "InvalidModel" });
    await expect(opening).rejects.toThrow(message);
  });

  test("no file at all", async () => {
    await expect(openSession(join(directory, "none.onnx"), 1)).rejects.toMatchObject({
      code: "InvalidModel",
    });
  });

  test("a model cut off anywhere, and one that onnxruntime refuses", async () => {
    const bytes = gemmModel([4, 8, 2]);
    for (let length = 0; length < bytes.length; length += 37) {
      const path = await saved(bytes, "cut.onnx");
      await truncate(path, length);
      await expect(openSession(path, 1)).rejects.toMatchObject({ code: "InvalidModel" });
    }
    const unknown = writeOnnx({
      inputs: [{ name: "x", type: "FP32", shape: [1] }],
      outputs: [{ name: "y", type: "FP32", shape: [1] }],
      nodes: [{ op: "NoSuchOperator", inputs: ["x"], outputs: ["y"] }],
    });
    await expect(openSession(await saved(unknown), 1)).rejects.toThrow(/NoSuchOperator/);
  });

  test("any bytes: refused or passed on, never anything but a NaruError", async () => {
    const valid = identityModel("FP32");
    await fc.assert(
      fc.asyncProperty(
        fc.nat(valid.length - 1),
        fc.uint8Array({ minLength: 1, maxLength: 8 }),
        async (at, bytes) => {
          const changed = Buffer.from(valid);
          changed.set(bytes.subarray(0, changed.length - at), at);
          try {
            await checkModelFile(await saved(changed, "fuzz.onnx"));
          } catch (thrown) {
            expect(thrown).toBeInstanceOf(NaruError);
          }
        },
      ),
      { numRuns: 200 },
    );
  });
});
