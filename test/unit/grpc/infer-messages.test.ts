import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { NaruError } from "../../../lib/errors.ts";
import { decodeModelInferRequest, encodeModelInferRequest } from "../../../lib/grpc/infer-request.ts";
import {
  decodeModelInferResponse,
  decodeModelStreamInferResponse,
  encodeModelInferResponse,
  encodeModelStreamInferResponse,
} from "../../../lib/grpc/infer-response.ts";
import { encodeRaw } from "../../../lib/v2/binary.ts";
import type { Tensor } from "../../../lib/v2/types.ts";
import { arbitraryParameters, arbitraryRequest, arbitraryTensor } from "../../support/arbitrary-tensors.ts";
import { methodOf } from "../../support/inference-proto.ts";

const peer = methodOf("inference.GRPCInferenceService", "ModelInfer");
const streamPeer = methodOf("inference.GRPCInferenceService", "ModelStreamInfer");

/** By bits: NaN equals itself and -0 is not 0. */
function bits(tensors: readonly Tensor[]): unknown {
  return tensors.map((tensor) => ({ ...tensor, data: Buffer.from(encodeRaw(tensor)).toString("hex") }));
}

test("a request comes back as it was", () => {
  fc.assert(
    fc.property(fc.string(), fc.string(), arbitraryRequest, (modelName, modelVersion, request) => {
      const decoded = decodeModelInferRequest(encodeModelInferRequest({ modelName, modelVersion, request }));
      expect(decoded.modelName).toBe(modelName);
      expect(decoded.modelVersion).toBe(modelVersion);
      expect(bits(decoded.request.inputs)).toEqual(bits(request.inputs));
      expect(decoded.request.outputs).toEqual(request.outputs);
      expect({ ...decoded.request.parameters }).toEqual({ ...request.parameters });
      expect(decoded.request.id).toBe(request.id);
    }),
  );
});

test("a response comes back as it was, alone and in a stream", () => {
  fc.assert(
    fc.property(
      fc.string(),
      fc.array(arbitraryTensor, { maxLength: 3 }),
      arbitraryParameters,
      (modelName, outputs, parameters) => {
        const response = { modelName, modelVersion: "2", id: "a", outputs, parameters };
        const decoded = decodeModelInferResponse(encodeModelInferResponse(response));
        const streamed = decodeModelStreamInferResponse(encodeModelStreamInferResponse({ response }));
        if (!("response" in streamed)) throw new Error("a response became an error");
        for (const each of [decoded, streamed.response]) {
          expect({ ...each, outputs: bits(each.outputs), parameters: { ...each.parameters } }).toEqual({
            ...response,
            outputs: bits(outputs),
            parameters: { ...parameters },
          });
        }
      },
    ),
  );
});

test("protobufjs reads what is written here, field by field", () => {
  const bytes = encodeModelInferRequest({
    modelName: "digits",
    modelVersion: "2",
    request: {
      id: "r1",
      inputs: [
        { name: "x", datatype: "FP32", shape: [1, 2], data: Float32Array.of(1.5, -2) },
        { name: "s", datatype: "BYTES", shape: [2], data: [Buffer.from("ab"), Buffer.alloc(0)] },
      ],
      outputs: [{ name: "y", classCount: 3 }, { name: "z" }],
      parameters: { timeout: 5000, tag: "a", flag: true, ratio: 0.5 },
    },
  });
  expect(peer.requestDeserialize(bytes)).toMatchObject({
    model_name: "digits",
    model_version: "2",
    id: "r1",
    inputs: [
      { name: "x", datatype: "FP32", shape: [1, 2], contents: null },
      { name: "s", datatype: "BYTES", shape: [2], contents: null },
    ],
    outputs: [
      { name: "y", parameters: { classification: { int64_param: 3 } } },
      { name: "z", parameters: {} },
    ],
    parameters: {
      timeout: { int64_param: 5000 },
      tag: { string_param: "a" },
      flag: { bool_param: true },
      ratio: { double_param: 0.5 },
    },
    raw_input_contents: [Buffer.from("0000c03f000000c0", "hex"), Buffer.from("02000000616200000000", "hex")],
  });
});

test("protobufjs reads an error in a stream, and which request it answers", () => {
  const bytes = encodeModelStreamInferResponse({ error: "no such model", id: "r7" });
  expect(streamPeer.responseDeserialize(bytes)).toMatchObject({
    error_message: "no such model",
    infer_response: { id: "r7" },
  });
  expect(decodeModelStreamInferResponse(bytes)).toEqual({ error: "no such model", id: "r7" });
});

describe("typed contents, written by protobufjs", () => {
  const cases: readonly (readonly [string, string, (number | boolean | string | Buffer)[], string])[] = [
    ["BOOL", "bool_contents", [true, false, true, false], "01000100"],
    ["INT8", "int_contents", [-128, 127, 0, -1], "807f00ff"],
    ["INT16", "int_contents", [-32_768, 32_767, 0, -1], "0080ff7f0000ffff"],
    ["INT32", "int_contents", [-(2 ** 31), 2 ** 31 - 1, 0, -1], "00000080ffffff7f00000000ffffffff"],
    [
      "INT64",
      "int64_contents",
      ["-9223372036854775808", "1", "0", "-1"],
      `${"00".repeat(7)}80${"01"}${"00".repeat(15)}${"ff".repeat(8)}`,
    ],
    ["UINT8", "uint_contents", [255, 0, 1, 2], "ff000102"],
    ["UINT16", "uint_contents", [65_535, 0, 1, 2], "ffff000001000200"],
    ["UINT32", "uint_contents", [0xffffffff, 0, 1, 2], "ffffffff000000000100000002000000"],
    [
      "UINT64",
      "uint64_contents",
      ["18446744073709551615", "0", "1", "2"],
      `${"ff".repeat(8)}${"00".repeat(8)}01${"00".repeat(7)}02${"00".repeat(7)}`,
    ],
    ["FP32", "fp32_contents", [1.5, -2, 0, 1], "0000c03f000000c0000000000000803f"],
    [
      "FP64",
      "fp64_contents",
      [1.5, -2, 0, 1],
      "000000000000f83f00000000000000c00000000000000000000000000000f03f",
    ],
    [
      "BYTES",
      "bytes_contents",
      [Buffer.from("a"), Buffer.alloc(0), Buffer.from("bc"), Buffer.from("d")],
      "010000006100000000020000006263" + "0100000064",
    ],
  ];
  test.each(cases)("%s comes from %s", (datatype, list, values, expected) => {
    const bytes = peer.requestSerialize({
      model_name: "m",
      inputs: [{ name: "x", datatype, shape: [2, 2], contents: { [list]: values } }],
    });
    const [input] = decodeModelInferRequest(bytes).request.inputs;
    if (input === undefined) throw new Error("no input");
    expect(input.shape).toEqual([2, 2]);
    expect(Buffer.from(encodeRaw(input)).toString("hex")).toBe(expected);
  });

  const refused: readonly (readonly [string, object, string])[] = [
    ["too few elements", { datatype: "FP32", shape: [3], contents: { fp32_contents: [1, 2] } }, "fewer"],
    ["too many elements", { datatype: "FP32", shape: [1], contents: { fp32_contents: [1, 2] } }, "more"],
    [
      "another type's list",
      { datatype: "FP32", shape: [1], contents: { int_contents: [1] } },
      "another type",
    ],
    [
      "a number beyond the type",
      { datatype: "INT8", shape: [1], contents: { int_contents: [128] } },
      "beyond",
    ],
    [
      "FP16, which has no list",
      { datatype: "FP16", shape: [1], contents: { fp32_contents: [1] } },
      "none for",
    ],
    ["a shape that lies", { datatype: "FP64", shape: [2 ** 40], contents: { fp64_contents: [1] } }, "fewer"],
    ["no data at all", { datatype: "FP32", shape: [1] }, "no data"],
    ["an unknown datatype", { datatype: "BF16", shape: [1], contents: { fp32_contents: [1] } }, "BF16"],
    ["a negative dimension", { datatype: "FP32", shape: [-1], contents: { fp32_contents: [1] } }, "-1"],
  ];
  test.each(refused)("%s is refused", (_name, input, reason) => {
    const bytes = peer.requestSerialize({ model_name: "m", inputs: [{ name: "x", ...input }] });
    expect(() => decodeModelInferRequest(bytes)).toThrow(reason);
  });

  test("an empty tensor needs no data", () => {
    const bytes = peer.requestSerialize({ inputs: [{ name: "x", datatype: "FP32", shape: [0, 4] }] });
    expect(decodeModelInferRequest(bytes).request.inputs[0]?.data).toHaveLength(0);
  });
});

describe("raw contents", () => {
  const input = { name: "x", datatype: "FP32", shape: [2] };
  test("must be there for every input or for none", () => {
    const bytes = peer.requestSerialize({ inputs: [input, input], raw_input_contents: [Buffer.alloc(8)] });
    expect(() => decodeModelInferRequest(bytes)).toThrow("1 raw contents for 2 tensors");
  });
  test("don't go with typed contents", () => {
    const both = { ...input, contents: { fp32_contents: [1, 2] } };
    const bytes = peer.requestSerialize({ inputs: [both], raw_input_contents: [Buffer.alloc(8)] });
    expect(() => decodeModelInferRequest(bytes)).toThrow("both contents and raw");
  });
  test("must be as long as the shape says", () => {
    const bytes = peer.requestSerialize({ inputs: [input], raw_input_contents: [Buffer.alloc(7)] });
    expect(() => decodeModelInferRequest(bytes)).toThrow("7 bytes");
  });
  test("are a view of the message where they lie aligned", () => {
    const bytes = encodeModelInferRequest({
      modelName: "m",
      modelVersion: "",
      request: {
        inputs: [{ name: "x", datatype: "UINT8", shape: [4], data: Uint8Array.of(1, 2, 3, 4) }],
        outputs: [],
        parameters: {},
      },
    });
    const data = decodeModelInferRequest(bytes).request.inputs[0]?.data as Uint8Array;
    expect(data.buffer).toBe(bytes.buffer);
  });
});

test("a parameter named __proto__ is a parameter, not a prototype", () => {
  const parameters = JSON.parse('{"__proto__": 1}');
  const bytes = encodeModelInferRequest({
    modelName: "m",
    modelVersion: "",
    request: { inputs: [], outputs: [], parameters },
  });
  const decoded = decodeModelInferRequest(bytes).request.parameters;
  expect(Object.entries(decoded)).toEqual([["__proto__", 1]]);
  expect(({} as Record<string, unknown>).timeout).toBeUndefined();
});

describe("bytes of a stranger", () => {
  const decoders = [decodeModelInferRequest, decodeModelInferResponse, decodeModelStreamInferResponse];
  const onlyInvalid = (bytes: Buffer) => {
    for (const decode of decoders) {
      try {
        decode(bytes);
      } catch (error) {
        if (!(error instanceof NaruError)) throw error;
        expect(error.status).toBe(400);
      }
    }
  };
  test("random ones are read or refused with 400", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => onlyInvalid(Buffer.from(bytes))),
      { numRuns: 2000 },
    );
  });
  test("messages that were cut or changed are read or refused with 400", () => {
    const change = fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 }));
    fc.assert(
      fc.property(arbitraryRequest, fc.array(change, { maxLength: 4 }), fc.nat(), (request, changes, cut) => {
        const bytes = encodeModelInferRequest({ modelName: "m", modelVersion: "1", request });
        for (const [at, value] of changes) bytes[at % bytes.length] = value;
        onlyInvalid(bytes.subarray(0, cut % (bytes.length + 1)));
        onlyInvalid(bytes);
      }),
      { numRuns: 1000 },
    );
  });
  test("a thousand and more inputs are refused", () => {
    const bytes = peer.requestSerialize({ inputs: new Array(1025).fill({ name: "x" }) });
    expect(() => decodeModelInferRequest(bytes)).toThrow("more than 1024 inputs");
  });
});
