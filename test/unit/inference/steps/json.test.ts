import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Tensor } from "../../../../lib/v2/types.ts";
import { parsePointer, valueAt } from "../../../../runtimes/inference/steps/json-pointer.ts";
import { jsonToTensors } from "../../../../runtimes/inference/steps/json-to-tensors.ts";
import { tensorsToJson } from "../../../../runtimes/inference/steps/tensors-to-json.ts";

function documents(...texts: string[]): Tensor {
  return {
    name: "body",
    datatype: "BYTES",
    shape: [texts.length],
    data: texts.map((text) => Buffer.from(text)),
  };
}

type ToTensors = Parameters<typeof jsonToTensors>[0]["fields"][number];

async function read(field: ToTensors, ...texts: string[]): Promise<Tensor> {
  const [tensor] = await jsonToTensors({ input: "body", fields: [field] }).run(
    new Map([["body", documents(...texts)]]),
  );
  if (tensor === undefined) throw new Error("no tensor was made");
  return tensor;
}

describe("JSON Pointer", () => {
  /** The examples of RFC 6901 §5. */
  const document = JSON.parse(
    '{"foo":["bar","baz"],"":0,"a/b":1,"c%d":2,"e^f":3,"g|h":4,"i\\\\j":5,"k\\"l":6," ":7,"m~n":8}',
  );
  test.each([
    ["", document],
    ["/foo", ["bar", "baz"]],
    ["/foo/0", "bar"],
    ["/", 0],
    ["/a~1b", 1],
    ["/c%d", 2],
    ["/e^f", 3],
    ["/g|h", 4],
    ["/i\\j", 5],
    ['/k"l', 6],
    ["/ ", 7],
    ["/m~0n", 8],
  ])("%j is the RFC's", (pointer, value) => {
    expect(valueAt(document, parsePointer(pointer) ?? ["?"])).toEqual(value);
  });
  test("finds nothing that the document doesn't say itself", () => {
    for (const pointer of [
      "/foo/2",
      "/foo/-",
      "/foo/00",
      "/foo/length",
      "/constructor",
      "/__proto__",
      "/foo/0/0",
    ]) {
      expect(valueAt(document, parsePointer(pointer) ?? [])).toBeUndefined();
    }
  });
  test("what isn't a pointer is none", () => {
    for (const pointer of ["foo", "/a~2", "/a~"]) expect(parsePointer(pointer)).toBeUndefined();
  });
  test("~01 is ~1, not /", () => {
    expect(parsePointer("/~01")).toEqual(["~1"]);
  });
});

describe("jsonToTensors", () => {
  test("reads one number a row, and arrays as a shape says", async () => {
    expect(await read({ pointer: "/a", tensor: "x", datatype: "FP32" }, '{"a":1}', '{"a":2.5}')).toEqual({
      name: "x",
      datatype: "FP32",
      shape: [2],
      data: Float32Array.of(1, 2.5),
    });
    expect(await read({ pointer: "", tensor: "x", datatype: "INT64", shape: [2, 1] }, "[[1],[-2]]")).toEqual({
      name: "x",
      datatype: "INT64",
      shape: [1, 2, 1],
      data: BigInt64Array.of(1n, -2n),
    });
    expect(await read({ pointer: "/b/0", tensor: "x", datatype: "BOOL" }, '{"b":[true]}')).toMatchObject({
      data: Uint8Array.of(1),
    });
    expect((await read({ pointer: "/s", tensor: "x", datatype: "BYTES" }, '{"s":"나루"}')).data).toEqual([
      Buffer.from("나루"),
    ]);
  });
  test.each([
    ["a missing field", { datatype: "FP32" }, "{}", "is missing"],
    ["null", { datatype: "FP32" }, '{"a":null}', "is not a number"],
    ["a string for a number", { datatype: "FP32" }, '{"a":"1"}', "is not a number"],
    ["a fraction for an integer", { datatype: "INT32" }, '{"a":1.5}', "not an integer"],
    ["an INT32 beyond its range", { datatype: "INT32" }, '{"a":2147483648}', "not an integer"],
    ["an INT64 that JSON has rounded", { datatype: "INT64" }, '{"a":9007199254740993}', "not an integer"],
    ["a number for a boolean", { datatype: "BOOL" }, '{"a":1}', "is not a boolean"],
    ["a number for a string", { datatype: "BYTES" }, '{"a":1}', "is not a string"],
    ["an array for a number", { datatype: "FP64" }, '{"a":[1]}', "is not a number"],
    ["a number for an array", { datatype: "FP64", shape: [1] }, '{"a":1}', "is not an array"],
    ["an array of another length", { datatype: "FP64", shape: [3] }, '{"a":[1,2]}', "has 2 elements, not 3"],
    ["what is not JSON", { datatype: "FP64" }, "{secret", "row 0 is not JSON"],
  ] as const)("refuses %s with 400 and the reason", async (_name, rest, text, reason) => {
    const field = { pointer: "/a", tensor: "x", ...rest } as ToTensors;
    await expect(read(field, text)).rejects.toMatchObject({
      status: 400,
      message: expect.stringContaining(reason),
    });
    await expect(read(field, text)).rejects.not.toMatchObject({ message: expect.stringContaining("secret") });
  });
  test("whatever the document, the answer is a tensor or a 400", async () => {
    const field: ToTensors = { pointer: "/a/b", tensor: "x", datatype: "INT32", shape: [1] };
    await fc.assert(
      fc.asyncProperty(fc.oneof(fc.json(), fc.string()), async (text) => {
        await read(field, text).catch((error) => expect(error).toMatchObject({ status: 400 }));
      }),
    );
  });
  test("a pointer that is none is found when the model is loaded", () => {
    const fields: ToTensors[] = [{ pointer: "a", tensor: "x", datatype: "FP32" }];
    expect(() => jsonToTensors({ input: "body", fields })).toThrow("not a JSON Pointer");
  });
});

describe("tensorsToJson", () => {
  async function write(
    fields: { tensor: string; pointer: string }[],
    ...tensors: Tensor[]
  ): Promise<string[]> {
    const step = tensorsToJson({ output: "answer", fields });
    const [answer] = await step.run(new Map(tensors.map((tensor) => [tensor.name, tensor])));
    const texts = answer?.data as Buffer[];
    expect(answer?.shape).toEqual([texts.length]);
    return texts.map(String);
  }
  test("writes a document a row, every type in its own form", async () => {
    const texts = await write(
      [
        { tensor: "label", pointer: "/result/label" },
        { tensor: "score", pointer: "/result/score" },
        { tensor: "id", pointer: "/id" },
        { tensor: "ok", pointer: "/a~1b" },
      ],
      { name: "label", datatype: "BYTES", shape: [2], data: [Buffer.from('a"b'), Buffer.from("나루")] },
      { name: "score", datatype: "FP32", shape: [2, 2], data: Float32Array.of(0.1, 1, Number.NaN, 1e-10) },
      { name: "id", datatype: "UINT64", shape: [2], data: BigUint64Array.of(18446744073709551615n, 0n) },
      { name: "ok", datatype: "BOOL", shape: [2, 1], data: Uint8Array.of(1, 0) },
    );
    expect(texts).toEqual([
      '{"result":{"label":"a\\"b","score":[0.1,1]},"id":18446744073709551615,"a/b":[true]}',
      '{"result":{"label":"나루","score":[null,1e-10]},"id":0,"a/b":[false]}',
    ]);
  });
  test("FP32 is written in few digits that come back as the same FP32", async () => {
    await fc.assert(
      fc.asyncProperty(fc.float({ noNaN: true, noDefaultInfinity: true }), async (value) => {
        const tensor: Tensor = { name: "x", datatype: "FP32", shape: [1], data: Float32Array.of(value) };
        const [text] = await write([{ tensor: "x", pointer: "" }], tensor);
        expect(Math.fround(Number(text)) + 0).toBe(Math.fround(value) + 0);
      }),
    );
  });
  test("a row is what jsonToTensors reads again", async () => {
    const tensor: Tensor = {
      name: "x",
      datatype: "FP64",
      shape: [2, 3],
      data: Float64Array.of(1, 2, 3, 4, 5, 6.5),
    };
    const texts = await write([{ tensor: "x", pointer: "/deep/er" }], tensor);
    const again = await read({ pointer: "/deep/er", tensor: "x", datatype: "FP64", shape: [3] }, ...texts);
    expect(again).toEqual(tensor);
  });
  test("tensors of different rows are refused", async () => {
    const one: Tensor = { name: "a", datatype: "UINT8", shape: [1], data: Uint8Array.of(1) };
    const two: Tensor = { name: "b", datatype: "UINT8", shape: [2], data: Uint8Array.of(1, 2) };
    const fields = [
      { tensor: "a", pointer: "/a" },
      { tensor: "b", pointer: "/b" },
    ];
    await expect(write(fields, one, two)).rejects.toMatchObject({ status: 400 });
  });
  test("two fields for one place are found when the model is loaded", () => {
    for (const [first, second] of [
      ["/a", "/a"],
      ["/a", "/a/b"],
      ["/a/b", "/a"],
      ["", "/a"],
    ] as const) {
      const fields = [
        { tensor: "x", pointer: first },
        { tensor: "y", pointer: second },
      ];
      expect(() => tensorsToJson({ output: "o", fields })).toThrow("want one place");
    }
  });
});
