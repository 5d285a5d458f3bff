import { expect, test } from "vitest";
import { classify } from "../../../lib/v2/classification.ts";
import type { Tensor } from "../../../lib/v2/types.ts";

const texts = (tensor: Tensor) => (tensor.data as readonly Buffer[]).map(String);

test("each row of a batch gets its own highest values, as value:index", () => {
  const scores: Tensor = {
    name: "s",
    datatype: "FP32",
    shape: [2, 3],
    data: Float32Array.of(0.25, 3, -1, 9, 9, 1),
  };
  const classes = classify(scores, 2);
  expect(classes.shape).toEqual([2, 2]);
  expect(classes.datatype).toBe("BYTES");
  expect(texts(classes)).toEqual(["3.000000:1", "0.250000:0", "9.000000:0", "9.000000:1"]);
});

test("labels follow the index, where there is one", () => {
  const scores: Tensor = { name: "s", datatype: "INT32", shape: [3], data: Int32Array.of(5, 7, 6) };
  const classes = classify(scores, 10, ["zero", "one"]);
  expect(classes.shape).toEqual([3]);
  expect(texts(classes)).toEqual(["7:1:one", "6:2", "5:0:zero"]);
});

test("NaN comes last, and FP16 is compared by value", () => {
  const half: Tensor = {
    name: "s",
    datatype: "FP16",
    shape: [3],
    data: Uint16Array.of(0x7e00, 0xbc00, 0x3c00),
  };
  expect(texts(classify(half, 3))).toEqual(["1.000000:2", "-1.000000:1", "NaN:0"]);
});

test("BYTES cannot be classified", () => {
  expect(() => classify({ name: "s", datatype: "BYTES", shape: [1], data: [Buffer.from("a")] }, 1)).toThrow(
    /BYTES/,
  );
});
