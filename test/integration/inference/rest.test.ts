import { request as httpRequest } from "node:http";
import { deflateSync, gunzipSync, gzipSync, inflateSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { encodeInferRequest } from "../../../lib/v2/infer-request.ts";
import { decodeInferResponse } from "../../../lib/v2/infer-response.ts";
import type { Tensor } from "../../../lib/v2/types.ts";
import type { ModelStatistics, RepositoryEntry } from "../../../runtimes/inference/model.ts";
import { serveModels, type TestServer } from "../../support/inference-server.ts";
import { addSubModel, gatherModel, identityModel, smallCnnModel } from "../../support/onnx-models.ts";

const tensors: readonly Tensor[] = [
  { name: "x", datatype: "BOOL", shape: [1, 4], data: Uint8Array.of(1, 0, 0, 1) },
  { name: "x", datatype: "UINT8", shape: [1, 4], data: Uint8Array.of(0, 1, 2, 255) },
  { name: "x", datatype: "UINT16", shape: [1, 4], data: Uint16Array.of(0, 1, 2, 65535) },
  { name: "x", datatype: "UINT32", shape: [1, 4], data: Uint32Array.of(0, 1, 2, 4294967295) },
  {
    name: "x",
    datatype: "UINT64",
    shape: [1, 4],
    data: BigUint64Array.of(0n, 1n, 2n, 18446744073709551615n),
  },
  { name: "x", datatype: "INT8", shape: [1, 4], data: Int8Array.of(0, 1, -128, 127) },
  { name: "x", datatype: "INT16", shape: [1, 4], data: Int16Array.of(0, 1, -32768, 32767) },
  { name: "x", datatype: "INT32", shape: [1, 4], data: Int32Array.of(0, 1, -2147483648, 2147483647) },
  {
    name: "x",
    datatype: "INT64",
    shape: [1, 4],
    data: BigInt64Array.of(0n, 1n, -9223372036854775808n, 9007199254740993n),
  },
  { name: "x", datatype: "FP16", shape: [1, 4], data: Uint16Array.of(0, 0x3c00, 0x0001, 0xfbff) },
  { name: "x", datatype: "FP32", shape: [1, 4], data: Float32Array.of(0, 0.1, -3e38, 1e-40) },
  { name: "x", datatype: "FP64", shape: [1, 4], data: Float64Array.of(0, 0.1, -1e308, 5e-324) },
  {
    name: "x",
    datatype: "BYTES",
    shape: [1, 4],
    data: ["", "a", "한글", '"\\\n'].map((text) => Buffer.from(text)),
  },
];

let served: TestServer;
let url: string;

beforeAll(async () => {
  const light = { warmupRuns: 1, execution: "Inline" };
  served = await serveModels(
    {
      ...Object.fromEntries(
        tensors.map(({ datatype }) => [
          `identity_${datatype}`,
          { bytes: identityModel(datatype), settings: light },
        ]),
      ),
      cnn: { bytes: smallCnnModel(), settings: { version: "3" } },
      addsub: { bytes: addSubModel("INT32") },
      gather: { bytes: gatherModel() },
      matrix: { bytes: identityModel("FP32", ["N", "M"]), settings: light },
      spare: { bytes: identityModel("FP32"), settings: { onDemand: true } },
    },
    { modelControl: "Explicit", maxRequestBytes: 100_000, revision: "r7" },
  );
  url = served.url;
});
afterAll(() => served?.[Symbol.asyncDispose]());

const post = (path: string, body: unknown, headers: Record<string, string> = {}) =>
  fetch(`${url}${path}`, {
    method: "POST",
    headers,
    body: body instanceof Uint8Array || typeof body === "string" ? (body as string) : JSON.stringify(body),
  });

/** What any answer may hold. */
interface Body {
  readonly error: string;
  readonly outputs: readonly {
    readonly name: string;
    readonly shape: readonly number[];
    readonly data: readonly unknown[];
  }[];
  readonly model_stats: readonly ModelStatistics[];
}

/** Health has no body. */
async function bodyOf(response: Response): Promise<Body> {
  const text = await response.text();
  return JSON.parse(text === "" ? "{}" : text) as Body;
}

async function entriesOf(response: Response): Promise<RepositoryEntry[]> {
  return (await response.json()) as RepositoryEntry[];
}

function statisticsOf({ body }: { readonly body: Body }): ModelStatistics {
  const [statistics] = body.model_stats;
  if (statistics === undefined) throw new Error("no statistics");
  return statistics;
}

const image = {
  name: "image",
  datatype: "FP32",
  shape: [1, 1, 8, 8],
  data: Array.from({ length: 64 }, (_, i) => i / 64),
};

describe("every datatype", () => {
  for (const tensor of tensors) {
    for (const binary of [false, true]) {
      test(`${tensor.datatype} goes in and comes out unchanged ${binary ? "as binary" : "as JSON"}`, async () => {
        const answer = await served.infer(
          `identity_${tensor.datatype}`,
          { id: "42", inputs: [tensor], parameters: { binary_data_output: binary } },
          { binary },
        );
        expect(answer.id).toBe("42");
        expect(answer.outputs).toEqual([{ ...tensor, name: "y" }]);
      });
    }
  }
});

describe("what the server and its models say of themselves", () => {
  const get = async (path: string) => {
    const response = await fetch(`${url}${path}`);
    return { status: response.status, body: await bodyOf(response) };
  };

  test("health, metadata, configuration and readiness", async () => {
    expect((await get("/v2/health/live")).status).toBe(200);
    expect((await get("/v2/health/ready")).status).toBe(200);
    expect((await get("/v2")).body).toMatchObject({
      name: "naru",
      extensions: expect.arrayContaining(["binary_tensor_data"]),
    });
    const metadata = {
      name: "cnn",
      versions: ["3"],
      platform: "onnxruntime_onnx",
      inputs: [{ name: "image", datatype: "FP32", shape: [-1, 1, 8, 8] }],
      outputs: [{ name: "scores", datatype: "FP32", shape: [-1, 10] }],
    };
    expect((await get("/v2/models/cnn")).body).toEqual(metadata);
    expect((await get("/v2/models/cnn/versions/3")).body).toEqual(metadata);
    expect((await get("/v2/models/cnn/versions/3/ready")).status).toBe(200);
    expect((await get("/v2/models/spare/ready")).status).toBe(503);
    expect((await get("/v2/models/cnn/config")).body).toMatchObject({
      name: "cnn",
      max_batch_size: 32,
      input: [{ name: "image", data_type: "TYPE_FP32", dims: [1, 8, 8] }],
    });
  });

  test("an unknown model, version or path is 404, a wrong method 405, each with its reason", async () => {
    for (const path of [
      "/v2/models/none",
      "/v2/models/none/ready",
      "/v2/models/cnn/versions/4",
      "/v2/models/cnn/nothing",
      "/v3",
    ]) {
      const { status, body } = await get(path);
      expect([path, status, typeof body.error]).toEqual([path, 404, "string"]);
    }
    expect((await get("/v2/models/cnn/infer")).status).toBe(405);
    expect((await post("/v2/models/cnn/versions/4/infer", {})).status).toBe(404);
    expect((await post("/v2/models/cnn/versions/3/infer", { inputs: [image] })).status).toBe(200);
  });

  test("the revision and the client's request id come back with an answer", async () => {
    const response = await post("/v2/models/cnn/infer", { inputs: [image] }, { "x-request-id": "abc-1" });
    expect(response.headers.get("naru-revision")).toBe("r7");
    expect(response.headers.get("x-request-id")).toBe("abc-1");
  });

  test("statistics count requests, rows and runs in Triton's shape", async () => {
    const before = statisticsOf(await get("/v2/models/addsub/stats"));
    const row = { datatype: "INT32", shape: [3, 4], data: Array.from({ length: 12 }, (_, i) => i) };
    await post("/v2/models/addsub/infer", {
      inputs: [
        { name: "a", ...row },
        { name: "b", ...row },
      ],
    });
    const after = statisticsOf(await get("/v2/models/addsub/stats"));
    expect(after.inference_stats.success.count - before.inference_stats.success.count).toBe(1);
    expect(after.inference_count - before.inference_count).toBe(3);
    expect(after.execution_count - before.execution_count).toBe(1);
    expect(after.inference_stats.compute_infer.ns).toBeGreaterThan(before.inference_stats.compute_infer.ns);
    expect(after.batch_stats).toEqual(expect.arrayContaining([expect.objectContaining({ batch_size: 3 })]));
    const all = (await get("/v2/models/stats")).body.model_stats;
    expect(all.map((model) => model.name)).toContain("cnn");
    expect((await get("/v2/models/addsub/versions/1/stats")).status).toBe(200);
  });

  test("the repository index shows every model; load and unload act on declared ones only", async () => {
    const state = async () => {
      const index = await entriesOf(await post("/v2/repository/index", ""));
      return index.find((model) => model.name === "spare")?.state;
    };
    expect(await state()).toBe("UNAVAILABLE");
    const input = { inputs: [{ name: "x", datatype: "FP32", shape: [1, 4], data: [1, 2, 3, 4] }] };
    expect((await post("/v2/models/spare/infer", input)).status).toBe(404);
    expect((await post("/v2/repository/models/spare/load", {})).status).toBe(200);
    expect(await state()).toBe("READY");
    expect((await post("/v2/models/spare/infer", input)).status).toBe(200);
    expect((await post("/v2/repository/models/spare/unload", {})).status).toBe(200);
    expect(await state()).toBe("UNAVAILABLE");
    expect((await post("/v2/repository/models/undeclared/load", {})).status).toBe(404);
    const other = { parameters: { config: '{"backend":"onnxruntime"}' } };
    expect((await post("/v2/repository/models/spare/load", other)).status).toBe(400);
    const ready = await entriesOf(await post("/v2/repository/index", { ready: true }));
    expect(ready.map((model) => model.name)).not.toContain("spare");
  });
});

describe("what a client asks for", () => {
  const row = { datatype: "INT32", shape: [1, 4], data: [1, 2, 3, 4] };
  const inputs = [
    { name: "a", ...row },
    { name: "b", ...row },
  ];

  test("only the outputs that were named, in that order", async () => {
    const response = await post("/v2/models/addsub/infer", { inputs, outputs: [{ name: "difference" }] });
    expect((await bodyOf(response)).outputs).toEqual([
      { name: "difference", datatype: "INT32", shape: [1, 4], data: [0, 0, 0, 0] },
    ]);
    const both = await post("/v2/models/addsub/infer", {
      inputs,
      outputs: [{ name: "difference" }, { name: "sum" }],
    });
    expect((await bodyOf(both)).outputs.map(({ name }) => name)).toEqual(["difference", "sum"]);
  });

  test("inputs may come in any order", async () => {
    const response = await post("/v2/models/addsub/infer", {
      inputs: [
        { name: "b", ...row, data: [1, 1, 1, 1] },
        { name: "a", ...row },
      ],
      outputs: [{ name: "difference" }],
    });
    expect((await bodyOf(response)).outputs[0]?.data).toEqual([0, 1, 2, 3]);
  });

  test("one output binary and another not", async () => {
    const response = await post("/v2/models/addsub/infer", {
      inputs,
      outputs: [{ name: "sum", parameters: { binary_data: true } }, { name: "difference" }],
    });
    const length = Number(response.headers.get("inference-header-content-length"));
    const body = Buffer.from(await response.arrayBuffer());
    expect(body.length - length).toBe(16);
    expect(decodeInferResponse(body, length).outputs[0]?.data).toEqual(Int32Array.of(2, 4, 6, 8));
  });

  test("classes in place of scores", async () => {
    const response = await post("/v2/models/cnn/infer", {
      inputs: [image],
      outputs: [{ name: "scores", parameters: { classification: 2 } }],
    });
    const [output] = (await bodyOf(response)).outputs;
    expect(output).toMatchObject({ datatype: "BYTES", shape: [1, 2] });
    const [first, second] = (output?.data ?? []).map((text) => Number(String(text).split(":")[0]));
    expect(first).toBeGreaterThanOrEqual(second ?? Number.POSITIVE_INFINITY);
  });

  test("gzip and deflate, both ways", async () => {
    for (const [encoding, pack, unpack] of [
      ["gzip", gzipSync, gunzipSync],
      ["deflate", deflateSync, inflateSync],
    ] as const) {
      const many = { ...image, shape: [40, 1, 8, 8], data: Array.from({ length: 40 * 64 }, () => 0.5) };
      const body = pack(JSON.stringify({ inputs: [many] }));
      const { status, headers, bytes } = await raw("/v2/models/cnn/infer", body, {
        "content-encoding": encoding,
        "accept-encoding": encoding,
      });
      expect(status).toBe(200);
      expect(headers["content-encoding"]).toBe(encoding);
      expect(JSON.parse(unpack(bytes).toString()).outputs[0].shape).toEqual([40, 10]);
    }
  });
});

/** Without the decompression that fetch does. */
function raw(path: string, body: Uint8Array, headers: Record<string, string>) {
  return new Promise<{ status: number; headers: Record<string, unknown>; bytes: Buffer }>(
    (resolve, reject) => {
      const request = httpRequest(`${url}${path}`, { method: "POST", headers }, (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.on("end", () =>
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            bytes: Buffer.concat(chunks),
          }),
        );
      });
      request.on("error", reject);
      request.end(body);
    },
  );
}

describe("what a client gets wrong is a 4xx with its reason", () => {
  const row = { name: "a", datatype: "INT32", shape: [1, 4], data: [1, 2, 3, 4] };
  const b = { ...row, name: "b" };
  test.each<[string, unknown, string]>([
    ["not JSON", "{", "InvalidJson"],
    ["no object", "[]", "InvalidRequest"],
    ["no inputs", {}, "InvalidRequest"],
    ["a missing input", { inputs: [row] }, "MissingInput"],
    ["an unknown input", { inputs: [row, b, { ...row, name: "c" }] }, "UnknownInput"],
    ["an input twice", { inputs: [row, b, b] }, "UnknownInput"],
    ["a wrong datatype", { inputs: [row, { ...b, datatype: "FP32" }] }, "InvalidDatatype"],
    ["a datatype that is none", { inputs: [row, { ...b, datatype: "FP8" }] }, "UnsupportedDatatype"],
    ["a wrong rank", { inputs: [row, { ...b, shape: [4] }] }, "InvalidShape"],
    ["a wrong dimension", { inputs: [row, { ...b, shape: [1, 3], data: [1, 2, 3] }] }, "InvalidShape"],
    ["a negative dimension", { inputs: [row, { ...b, shape: [-1, 4] }] }, "InvalidShape"],
    [
      "batches of two sizes",
      { inputs: [row, { ...b, shape: [2, 4], data: [1, 2, 3, 4, 5, 6, 7, 8] }] },
      "InvalidShape",
    ],
    ["short data", { inputs: [row, { ...b, data: [1, 2, 3] }] }, "InvalidTensorData"],
    ["long data", { inputs: [row, { ...b, data: [1, 2, 3, 4, 5] }] }, "InvalidTensorData"],
    ["text for numbers", { inputs: [row, { ...b, data: ["1", "2", "3", "4"] }] }, "InvalidTensorData"],
    ["an unknown output", { inputs: [row, b], outputs: [{ name: "product" }] }, "UnknownOutput"],
    ["an output twice", { inputs: [row, b], outputs: [{ name: "sum" }, { name: "sum" }] }, "UnknownOutput"],
    [
      "an integer beyond 2^53 for a narrow type, beside one for a wide type",
      '{"inputs":[{"name":"a","datatype":"INT64","shape":[1],"data":[9007199254740993]},{"name":"b","datatype":"INT32","shape":[1],"data":[9007199254740993]}]}',
      "InvalidTensorData",
    ],
    ["a parameter that is no value", { inputs: [row, b], parameters: { p: {} } }, "InvalidRequest"],
    ["a timeout that is no time", { inputs: [row, b], parameters: { timeout: "soon" } }, "InvalidTimeout"],
  ])("%s", async (_name, body, code) => {
    const response = await post("/v2/models/addsub/infer", body);
    expect([response.status, response.headers.get("naru-error-code")]).toEqual([400, code]);
    expect((await bodyOf(response)).error).toMatch(/\w/);
  });

  test("truncated, overlong and misframed binary", async () => {
    const { body, headerLength } = encodeInferRequest(
      {
        inputs: [{ ...tensors[7], name: "a" } as Tensor, { ...tensors[7], name: "b" } as Tensor],
        outputs: [],
        parameters: {},
      },
      { binary: true },
    );
    const framed = (bytes: Uint8Array, length: number | string) =>
      post("/v2/models/addsub/infer", bytes, { "inference-header-content-length": String(length) });
    expect((await framed(body, headerLength ?? 0)).status).toBe(200);
    expect((await framed(body.subarray(0, -1), headerLength ?? 0)).status).toBe(400);
    expect((await framed(Buffer.concat([body, Buffer.of(0)]), headerLength ?? 0)).status).toBe(400);
    expect((await framed(body, (headerLength ?? 0) - 1)).status).toBe(400);
    expect((await framed(body, body.length + 1)).status).toBe(400);
    expect((await framed(body, "-1")).status).toBe(400);
    expect((await framed(body, "x")).status).toBe(400);
  });

  test("a body too large, announced, chunked or inflated, is 413, and the connection goes on", async () => {
    const large = JSON.stringify({ inputs: [], padding: "x".repeat(200_000) });
    expect((await post("/v2/models/cnn/infer", large)).status).toBe(413);
    const chunked = new ReadableStream({
      start(controller) {
        for (let part = 0; part < 20; part += 1) controller.enqueue(Buffer.alloc(10_000, "x"));
        controller.close();
      },
    });
    const options = { method: "POST", body: chunked, duplex: "half" } as RequestInit;
    expect((await fetch(`${url}/v2/models/cnn/infer`, options)).status).toBe(413);
    const bomb = gzipSync(Buffer.alloc(50_000_000));
    expect((await post("/v2/models/cnn/infer", bomb, { "content-encoding": "gzip" })).status).toBe(413);
    expect((await post("/v2/models/cnn/infer", { inputs: [image] })).status).toBe(200);
  });

  test("an encoding that is unknown, or not what the body has", async () => {
    expect((await post("/v2/models/cnn/infer", "{}", { "content-encoding": "br" })).status).toBe(415);
    expect((await post("/v2/models/cnn/infer", "{}", { "content-encoding": "gzip" })).status).toBe(400);
  });

  test("bytes that an ONNX string cannot hold", async () => {
    for (const bytes of [Buffer.of(0xff), Buffer.from("a\0b")]) {
      const data = [bytes, bytes, bytes, bytes];
      const request = served.infer(
        "identity_BYTES",
        { inputs: [{ name: "x", datatype: "BYTES", shape: [1, 4], data }] },
        { binary: true },
      );
      await expect(request).rejects.toThrow(/^Error: 400|^400/);
    }
  });

  test("values that the model itself fails on are the model's failure, and the next request is answered", async () => {
    const ask = (index: number) =>
      post("/v2/models/gather/infer", {
        inputs: [{ name: "index", datatype: "INT64", shape: [1, 1], data: [index] }],
      });
    const failed = await ask(99);
    expect([failed.status, failed.headers.get("naru-error-code")]).toEqual([500, "InferenceFailed"]);
    expect((await ask(3)).status).toBe(200);
  });

  test.each([[[0, 2 ** 40]], [[2 ** 53 - 1, 0]], [[2 ** 31, 0]]])(
    "no elements in the shape %j is refused: an answer of that size costs its sender nothing",
    async (shape) => {
      const response = await post("/v2/models/matrix/infer", {
        inputs: [{ name: "x", datatype: "FP32", shape, data: [] }],
      });
      expect([response.status, response.headers.get("naru-error-code")]).toEqual([400, "InvalidShape"]);
    },
  );

  test("an empty batch has an empty answer", async () => {
    const response = await post("/v2/models/cnn/infer", {
      inputs: [{ ...image, shape: [0, 1, 8, 8], data: [] }],
    });
    expect([response.status, (await bodyOf(response)).outputs?.[0]?.shape]).toEqual([200, [0, 10]]);
  });
});
