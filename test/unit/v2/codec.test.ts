import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { NaruError } from "../../../lib/errors.ts";
import { decodeInferRequest, encodeInferRequest } from "../../../lib/v2/infer-request.ts";
import { decodeInferResponse, encodeInferResponse } from "../../../lib/v2/infer-response.ts";
import { decodeModelMetadata } from "../../../lib/v2/model-metadata.ts";
import type { InferRequest, InferResponse, Parameters } from "../../../lib/v2/types.ts";
import { anyTensor } from "./arbitrary-tensor.ts";

const anyParameters: fc.Arbitrary<Parameters> = fc.dictionary(
  fc.string({ minLength: 1 }).filter((key) => key !== "__proto__" && key !== "binary_data_output"),
  fc.oneof(fc.string(), fc.integer(), fc.boolean()),
  { maxKeys: 3, noNullPrototype: true },
);

const anyRequest: fc.Arbitrary<InferRequest> = fc.record({
  id: fc.string(),
  inputs: fc.array(anyTensor, { minLength: 1, maxLength: 4 }),
  outputs: fc.array(
    fc.record({ name: fc.string({ minLength: 1 }), binary: fc.boolean(), classCount: fc.nat(10) }),
    { maxLength: 2 },
  ),
  parameters: anyParameters,
});

describe("round trips", () => {
  for (const binary of [false, true]) {
    test(`a request encoded ${binary ? "with binary tensors" : "as JSON"} decodes to itself`, () => {
      fc.assert(
        fc.property(anyRequest, (request) => {
          const { body, headerLength } = encodeInferRequest(request, { binary });
          expect(decodeInferRequest(body, headerLength)).toEqual(request);
        }),
      );
    });

    test(`a response encoded ${binary ? "with binary tensors" : "as JSON"} decodes to itself`, () => {
      fc.assert(
        fc.property(fc.array(anyTensor, { maxLength: 4 }), anyParameters, (outputs, parameters) => {
          const response: InferResponse = { id: "7", modelName: "m", modelVersion: "2", outputs, parameters };
          const encoded = encodeInferResponse(response, {
            outputs: [],
            parameters: { binary_data_output: binary },
          });
          const decoded =
            typeof encoded === "string"
              ? decodeInferResponse(Buffer.from(encoded))
              : decodeInferResponse(encoded.body, encoded.headerLength);
          expect(decoded).toEqual(response);
        }),
      );
    });
  }

  test("outputs of one answer may be binary and JSON, each as it was asked for", () => {
    const response: InferResponse = {
      modelName: "m",
      parameters: {},
      outputs: [
        { name: "a", datatype: "FP32", shape: [2], data: Float32Array.of(0.1, 2) },
        { name: "b", datatype: "INT64", shape: [1], data: BigInt64Array.of(2n ** 62n + 1n) },
      ],
    };
    const encoded = encodeInferResponse(response, {
      outputs: [
        { name: "a", binary: true },
        { name: "b", binary: false },
      ],
      parameters: {},
    });
    if (typeof encoded === "string") throw new Error("expected a binary body");
    const json = JSON.parse(encoded.body.subarray(0, encoded.headerLength).toString());
    expect(json.outputs[0].parameters).toEqual({ binary_data_size: 8 });
    expect(json.outputs[1].data).toHaveLength(1);
    expect(decodeInferResponse(encoded.body, encoded.headerLength)).toEqual(response);
  });
});

describe("numbers in JSON", () => {
  const ask = (datatype: string, data: unknown, shape: number[]) =>
    decodeInferRequest(Buffer.from(JSON.stringify({ inputs: [{ name: "x", datatype, shape, data }] })));

  test("64-bit integers keep every digit", () => {
    const body =
      '{"inputs":[{"name":"x","datatype":"INT64","shape":[2],"data":[9007199254740993,-9223372036854775808]}]}';
    expect(decodeInferRequest(Buffer.from(body)).inputs[0]?.data).toEqual(
      BigInt64Array.of(9007199254740993n, -9223372036854775808n),
    );
  });

  test.each([
    ["INT8", [128]],
    ["INT8", [1.5]],
    ["UINT8", [-1]],
    ["INT32", ["1"]],
    ["UINT64", [-1]],
    ["INT64", [1e19]],
    ["FP32", [1e39]],
    ["FP32", [null]],
    ["FP64", ["1"]],
    ["FP16", [65520]],
    ["BOOL", [2]],
    ["BYTES", [1]],
  ])("%s refuses %j", (datatype, data) => {
    expect(() => ask(datatype, data, [1])).toThrow(
      expect.objectContaining({ code: "InvalidTensorData", status: 400 }),
    );
  });

  test("data may be nested as the shape is, and no other way", () => {
    expect(
      ask(
        "FP32",
        [
          [1, 2],
          [3, 4],
        ],
        [2, 2],
      ).inputs[0]?.data,
    ).toEqual(Float32Array.of(1, 2, 3, 4));
    for (const data of [
      [[1, 2, 3, 4]],
      [[1], [2], [3], [4]],
      [[1, 2], [3]],
      [
        [
          [1, 2],
          [3, 4],
        ],
      ],
      [[1, 2], 3],
    ]) {
      expect(() => ask("FP32", data, [2, 2])).toThrow(expect.objectContaining({ code: "InvalidTensorData" }));
    }
  });

  test("an FP32 answer is written with few digits and reads back exactly", () => {
    const data = Float32Array.of(0.1, 1 / 3, 1e-20, 16777216, -2.5e30, 0);
    const text = encodeInferResponse(
      { modelName: "m", parameters: {}, outputs: [{ name: "y", datatype: "FP32", shape: [6], data }] },
      { outputs: [], parameters: {} },
    );
    if (typeof text !== "string") throw new Error("expected JSON");
    expect(text).toContain("[0.1,");
    expect(Float32Array.from(JSON.parse(text).outputs[0].data)).toEqual(data);
  });

  test("what JSON cannot say is null", () => {
    const data = Float32Array.of(Number.NaN, Number.POSITIVE_INFINITY, 1);
    const text = encodeInferResponse(
      { modelName: "m", parameters: {}, outputs: [{ name: "y", datatype: "FP32", shape: [3], data }] },
      { outputs: [], parameters: {} },
    );
    expect(JSON.parse(String(text)).outputs[0].data).toEqual([null, null, 1]);
  });
});

describe("what a stranger sent", () => {
  /** Whatever comes: a value, or a NaruError that blames the client. */
  const survives = (decode: () => unknown): void => {
    try {
      decode();
    } catch (thrown) {
      expect(thrown).toBeInstanceOf(NaruError);
      expect((thrown as NaruError).status).toBe(400);
      expect((thrown as NaruError).remedy).not.toBe("");
    }
  };
  const decoders = [decodeInferRequest, decodeInferResponse, (body: Uint8Array) => decodeModelMetadata(body)];

  test("random bytes are refused, never fatal", () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 256 }),
        fc.option(fc.integer({ min: -2, max: 300 })),
        (body, length) => {
          for (const decode of decoders) survives(() => decode(body, length ?? undefined));
        },
      ),
    );
  });

  test("random JSON is refused, never fatal", () => {
    const leaf = fc.oneof(
      fc.constantFrom("x", "FP32", "INT64", "BYTES", 1, -1, 2 ** 60, null, true),
      fc.jsonValue(),
    );
    const entry = fc.record(
      {
        name: leaf,
        datatype: leaf,
        shape: fc.oneof(leaf, fc.array(leaf, { maxLength: 4 })),
        data: fc.oneof(leaf, fc.array(leaf, { maxLength: 4 })),
        parameters: fc.oneof(
          leaf,
          fc.record({ binary_data_size: leaf, classification: leaf, binary_data: leaf }),
        ),
      },
      { requiredKeys: [] },
    );
    const list = fc.oneof(leaf, fc.array(entry, { maxLength: 3 }));
    const request = fc.record(
      { id: leaf, model_name: leaf, inputs: list, outputs: list, parameters: leaf },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(request, fc.boolean(), (value, framed) => {
        const body = Buffer.from(JSON.stringify(value));
        for (const decode of decoders) survives(() => decode(body, framed ? body.length : undefined));
      }),
      { numRuns: 500 },
    );
  });

  test("a valid body with bytes changed, cut or moved is refused or another request, never fatal", () => {
    fc.assert(
      fc.property(
        anyRequest,
        fc.nat(),
        fc.nat(255),
        fc.nat(),
        fc.integer({ min: -8, max: 8 }),
        (request, at, byte, cut, skew) => {
          const { body, headerLength } = encodeInferRequest(request, { binary: true });
          const changed = Buffer.from(body);
          changed[at % changed.length] = byte;
          survives(() => decodeInferRequest(changed, headerLength));
          survives(() => decodeInferRequest(body.subarray(0, cut % body.length), headerLength));
          survives(() => decodeInferRequest(body, (headerLength ?? 0) + skew));
        },
      ),
    );
  });

  test("deep nesting and huge shapes are refused without the memory they name", () => {
    const deep = `{"inputs":[{"name":"x","datatype":"INT64","shape":[1],"data":${"[".repeat(200_000)}${"]".repeat(200_000)}}]}`;
    survives(() => decodeInferRequest(Buffer.from(deep)));
    const unsafe = deep.replace("[[[[", "[9007199254740993,[[[");
    survives(() => decodeInferRequest(Buffer.from(unsafe)));
    for (const shape of ["[9007199254740991,9007199254740991]", "[4294967296]", "[0,9007199254740991]"]) {
      for (const datatype of ["FP32", "BYTES", "BOOL"]) {
        const body = Buffer.from(
          `{"inputs":[{"name":"x","datatype":"${datatype}","shape":${shape},"data":[1]}]}`,
        );
        expect(() => decodeInferRequest(body)).toThrow(expect.objectContaining({ status: 400 }));
        const framed = Buffer.from(
          `{"inputs":[{"name":"x","datatype":"${datatype}","shape":${shape},"parameters":{"binary_data_size":4}}]}abcd`,
        );
        expect(() => decodeInferRequest(framed, framed.length - 4)).toThrow(
          expect.objectContaining({ status: 400 }),
        );
      }
    }
  });

  test("an error message quotes no payload", () => {
    const body = Buffer.from(
      '{"inputs":[{"name":"x","datatype":"BYTES","shape":[1],"data":["900101-1234567"',
    );
    expect(() => decodeInferRequest(body)).toThrow(expect.not.stringContaining("900101"));
  });
});
