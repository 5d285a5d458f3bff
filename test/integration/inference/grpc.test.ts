import { connect } from "node:http2";
import {
  type Client,
  type ClientDuplexStream,
  credentials,
  Metadata,
  type ServiceError,
  status,
} from "@grpc/grpc-js";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { encodeModelInferRequest } from "../../../lib/grpc/infer-request.ts";
import {
  decodeModelInferResponse,
  decodeModelStreamInferResponse,
} from "../../../lib/grpc/infer-response.ts";
import type { InferRequest, InferResponse, Tensor } from "../../../lib/v2/types.ts";
import { datatypes } from "../../support/arbitrary-tensors.ts";
import { eventually } from "../../support/eventually.ts";
import { HealthClient, InferenceClient } from "../../support/inference-proto.ts";
import { serveModels, type TestServer } from "../../support/inference-server.ts";
import {
  addSubModel,
  gatherModel,
  gemmModel,
  identityModel,
  smallCnnModel,
} from "../../support/onnx-models.ts";

const service = "/inference.GRPCInferenceService";
/** A run of this takes long enough for another request to come and go. */
const slowShape = [256, 2048, 2048, 2048, 64];
const rows = (count: number): Tensor => ({
  name: "input",
  datatype: "FP32",
  shape: [count, 256],
  data: new Float32Array(count * 256).fill(0.1),
});
/** Runs for tenths of a second, so that what waits behind it is seen waiting. */
const longRun = rows(1024);

let served: TestServer;
let address: string;
let client: Client;

beforeAll(async () => {
  served = await serveModels(
    {
      ...Object.fromEntries(
        datatypes.map((type) => [
          `identity_${type}`,
          { bytes: identityModel(type), settings: { execution: "Inline" } },
        ]),
      ),
      cnn: { bytes: smallCnnModel(), settings: { version: "3" } },
      addsub: { bytes: addSubModel("FP32") },
      gather: { bytes: gatherModel() },
      slow: {
        bytes: gemmModel(slowShape),
        settings: { execution: "Worker", warmupRuns: 1, batching: { enabled: false } },
      },
      spare: { bytes: identityModel("FP32"), settings: { onDemand: true } },
    },
    { modelControl: "Explicit", maxRequestBytes: 4_000_000, maxQueuedRequests: 8, revision: "r7" },
  );
  address = `127.0.0.1:${served.server.ports.grpc}`;
  client = new InferenceClient(address, credentials.createInsecure());
});
afterAll(async () => {
  client.close();
  await served[Symbol.asyncDispose]();
});

const same = (bytes: Buffer) => bytes;

/** A unary call of bytes. Rejects with grpc-js' ServiceError. */
function callBytes(path: string, message: Buffer, deadline?: number, through = client): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const options = deadline === undefined ? {} : { deadline: Date.now() + deadline };
    through.makeUnaryRequest(path, same, same, message, new Metadata(), options, (error, answer) => {
      if (error === null && answer !== undefined) resolve(answer);
      else reject(error);
    });
  });
}

function requestOf(modelName: string, request: Partial<InferRequest>, modelVersion = ""): Buffer {
  return encodeModelInferRequest({
    modelName,
    modelVersion,
    request: { inputs: [], outputs: [], parameters: {}, ...request },
  });
}

async function infer(
  model: string,
  request: Partial<InferRequest>,
  version?: string,
): Promise<InferResponse> {
  return decodeModelInferResponse(
    await callBytes(`${service}/ModelInfer`, requestOf(model, request, version)),
  );
}

/** A unary call as protobufjs writes and reads it. */
function call(method: string, request: object = {}): Promise<Record<string, unknown>> {
  return new Promise((resolve, reject) => {
    const invoke = (client as unknown as Record<string, (...args: unknown[]) => void>)[method];
    invoke?.call(client, request, (error: ServiceError | null, answer: Record<string, unknown>) => {
      if (error === null) resolve(answer);
      else reject(error);
    });
  });
}

const fp32 = (name: string, shape: number[], values: number[]): Tensor => ({
  name,
  datatype: "FP32",
  shape,
  data: Float32Array.from(values),
});

describe("ModelInfer", () => {
  const elements: Readonly<Record<string, Tensor["data"]>> = {
    BOOL: Uint8Array.of(1, 0, 0, 1),
    UINT8: Uint8Array.of(0, 1, 2, 255),
    UINT16: Uint16Array.of(0, 1, 2, 65_535),
    UINT32: Uint32Array.of(0, 1, 2, 0xffffffff),
    UINT64: BigUint64Array.of(0n, 1n, 2n, 2n ** 64n - 1n),
    INT8: Int8Array.of(0, 1, -128, 127),
    INT16: Int16Array.of(0, 1, -32_768, 32_767),
    INT32: Int32Array.of(0, 1, -(2 ** 31), 2 ** 31 - 1),
    INT64: BigInt64Array.of(0n, 1n, -(2n ** 63n), 9007199254740993n),
    FP16: Uint16Array.of(0, 0x3c00, 1, 0xfbff),
    FP32: Float32Array.of(0, 0.1, -3e38, 1e-40),
    FP64: Float64Array.of(0, 0.1, -1e308, 5e-324),
    BYTES: ["", "a", "한글", '"\\\n'].map((text) => Buffer.from(text)),
  };
  test.each(datatypes)("%s goes there and back, raw", async (datatype) => {
    const x: Tensor = { name: "x", datatype, shape: [1, 4], data: elements[datatype] ?? [] };
    const answer = await infer(`identity_${datatype}`, { id: "r1", inputs: [x] });
    expect(answer).toMatchObject({ id: "r1", modelName: `identity_${datatype}`, modelVersion: "1" });
    expect(answer.outputs).toEqual([{ ...x, name: "y" }]);
  });
  test("typed contents are taken, and answered raw, as Triton does", async () => {
    const tensor = { datatype: "FP32", shape: [1, 4], contents: { fp32_contents: [1, 2, 3, 4] } };
    const inputs = [
      { name: "a", ...tensor },
      { name: "b", ...tensor },
    ];
    const answer = await call("ModelInfer", { model_name: "addsub", inputs, outputs: [{ name: "sum" }] });
    expect(answer.outputs).toMatchObject([{ name: "sum", datatype: "FP32", shape: [1, 4], contents: null }]);
    expect(answer.raw_output_contents).toEqual([Buffer.from(Float32Array.of(2, 4, 6, 8).buffer)]);
  });
  test("outputs come in the order asked, classification included", async () => {
    const a = fp32("a", [1, 4], [1, 5, 3, 4]);
    const b = fp32("b", [1, 4], [0, 0, 0, 0]);
    const outputs = [{ name: "difference", classCount: 2 }, { name: "sum" }];
    const answer = await infer("addsub", { inputs: [a, b], outputs });
    expect(answer.outputs[0]).toMatchObject({ name: "difference", datatype: "BYTES", shape: [1, 2] });
    const [classes, sum] = answer.outputs;
    expect(Array.from(classes?.data ?? [], String)).toEqual(["5.000000:1", "4.000000:3"]);
    expect(sum).toEqual({ ...a, name: "sum" });
  });
  test("the version asked for is served, another is NOT_FOUND", async () => {
    const image = fp32("image", [1, 1, 8, 8], new Array(64).fill(0.5));
    expect((await infer("cnn", { inputs: [image] }, "3")).modelVersion).toBe("3");
    await expect(infer("cnn", { inputs: [image] }, "9")).rejects.toMatchObject({ code: status.NOT_FOUND });
  });
  test("the revision goes in front of every answer", async () => {
    const seen = await new Promise<Metadata>((resolve) => {
      client
        .makeUnaryRequest(`${service}/ServerLive`, same, same, Buffer.alloc(0), () => undefined)
        .on("metadata", resolve);
    });
    expect(seen.get("naru-revision")).toEqual(["r7"]);
  });

  const one = fp32("a", [1, 4], [1, 2, 3, 4]);
  const two = fp32("b", [1, 4], [1, 2, 3, 4]);
  const wrong: readonly (readonly [string, string, Partial<InferRequest>, number, string])[] = [
    ["an unknown model", "nobody", { inputs: [one] }, status.NOT_FOUND, "nobody"],
    ["a model that isn't loaded", "spare", { inputs: [one] }, status.NOT_FOUND, "not loaded"],
    ["a missing input", "addsub", { inputs: [one] }, status.INVALID_ARGUMENT, '"b" is missing'],
    [
      "an unknown input",
      "addsub",
      { inputs: [one, two, { ...two, name: "c" }] },
      status.INVALID_ARGUMENT,
      '"c"',
    ],
    [
      "another type",
      "addsub",
      { inputs: [one, { ...two, datatype: "INT32" }] },
      status.INVALID_ARGUMENT,
      "INT32",
    ],
    [
      "another rank",
      "addsub",
      { inputs: [one, { ...two, shape: [4] }] },
      status.INVALID_ARGUMENT,
      "shape [4]",
    ],
    [
      "an unknown output",
      "addsub",
      { inputs: [one, two], outputs: [{ name: "q" }] },
      status.INVALID_ARGUMENT,
      '"q"',
    ],
    [
      "too little data",
      "addsub",
      { inputs: [{ ...one, shape: [2, 4] }, two] },
      status.INVALID_ARGUMENT,
      "16 bytes",
    ],
  ];
  test.each(wrong)("%s is said so", async (_name, model, request, code, reason) => {
    await expect(infer(model, request)).rejects.toMatchObject({
      code,
      details: expect.stringContaining(reason),
    });
  });
  test("a request larger than the bound is RESOURCE_EXHAUSTED, before it is there", async () => {
    await expect(callBytes(`${service}/ModelInfer`, Buffer.alloc(4_000_001))).rejects.toMatchObject({
      code: status.RESOURCE_EXHAUSTED,
    });
    await expect(infer("addsub", { inputs: [one, two] })).resolves.toBeDefined();
  });
  test("a method that there isn't is UNIMPLEMENTED", async () => {
    for (const path of [`${service}/CudaSharedMemoryStatus`, "/other.Service/Method"]) {
      await expect(callBytes(path, Buffer.alloc(0))).rejects.toMatchObject({ code: status.UNIMPLEMENTED });
    }
  });
  test("a model's own failure is INTERNAL", async () => {
    const index: Tensor = { name: "index", datatype: "INT64", shape: [1, 1], data: BigInt64Array.of(99n) };
    await expect(infer("gather", { inputs: [index] })).rejects.toMatchObject({ code: status.INTERNAL });
  });
});

describe("time", () => {
  test("a deadline that passed is DEADLINE_EXCEEDED, by the client's word or the request's", async () => {
    const message = requestOf("slow", { inputs: [rows(64)] });
    await expect(callBytes(`${service}/ModelInfer`, message, 1)).rejects.toMatchObject({
      code: status.DEADLINE_EXCEEDED,
    });
    const timeout = infer("slow", { inputs: [rows(64)], parameters: { timeout: 1 } });
    await expect(timeout).rejects.toMatchObject({
      code: status.DEADLINE_EXCEEDED,
      details: expect.stringContaining("deadline"),
    });
  });
  test("a grpc-timeout that is none is INVALID_ARGUMENT", async () => {
    const { trailers } = await raw({ "grpc-timeout": "soon" }, [frame(requestOf("cnn", {}))]);
    expect(trailers["grpc-status"]).toBe(String(status.INVALID_ARGUMENT));
  });
  test("a full queue is UNAVAILABLE, and what a client cancels leaves it", async () => {
    const { inFlight } = {
      inFlight: () => [...served.server.repository.loaded()].find(({ name }) => name === "slow")?.inFlight,
    };
    const message = requestOf("slow", { inputs: [longRun] });
    const calls = Array.from({ length: 8 }, () =>
      client.makeUnaryRequest(`${service}/ModelInfer`, same, same, message, () => undefined),
    );
    await eventually("eight requests in the queue", () => inFlight() === 8);
    await expect(infer("slow", { inputs: [rows(1)] })).rejects.toMatchObject({
      code: status.UNAVAILABLE,
      details: expect.stringContaining("8 requests"),
    });
    for (const each of calls) each.cancel();
    await eventually("an empty queue", () => inFlight() === 0);
    await expect(infer("slow", { inputs: [rows(1)] })).resolves.toMatchObject({ modelName: "slow" });
  });
});

describe("about the server and its models", () => {
  test("live, ready, and of which model", async () => {
    expect(await call("ServerLive")).toEqual({ live: true });
    expect(await call("ServerReady")).toEqual({ ready: true });
    expect(await call("ModelReady", { name: "cnn", version: "3" })).toEqual({ ready: true });
    for (const name of ["spare", "nobody"])
      expect(await call("ModelReady", { name })).toEqual({ ready: false });
  });
  test("metadata", async () => {
    expect(await call("ServerMetadata")).toMatchObject({
      name: "naru",
      extensions: expect.arrayContaining([
        "classification",
        "statistics",
        "model_repository",
        "model_configuration",
      ]),
    });
    expect(await call("ModelMetadata", { name: "cnn" })).toEqual({
      name: "cnn",
      versions: ["3"],
      platform: "onnxruntime_onnx",
      inputs: [{ name: "image", datatype: "FP32", shape: [-1, 1, 8, 8] }],
      outputs: [{ name: "scores", datatype: "FP32", shape: [-1, 10] }],
    });
    await expect(call("ModelMetadata", { name: "nobody" })).rejects.toMatchObject({ code: status.NOT_FOUND });
  });
  test("configuration", async () => {
    expect(await call("ModelConfig", { name: "cnn" })).toMatchObject({
      config: {
        name: "cnn",
        platform: "onnxruntime_onnx",
        backend: "onnxruntime",
        max_batch_size: 32,
        input: [{ name: "image", data_type: 11, dims: [1, 8, 8] }],
        output: [{ name: "scores", data_type: 11, dims: [10] }],
        instance_group: [{ kind: 2, count: 1 }],
        dynamic_batching: { preferred_batch_size: [32] },
      },
    });
  });
  test("statistics, of one model and of all", async () => {
    await infer("identity_UINT8", {
      inputs: [{ name: "x", datatype: "UINT8", shape: [3, 4], data: new Uint8Array(12) }],
    });
    const one = await call("ModelStatistics", { name: "identity_UINT8" });
    expect(one.model_stats).toHaveLength(1);
    expect(one.model_stats).toMatchObject([
      { name: "identity_UINT8", version: "1", inference_stats: { fail: { count: 0 } } },
    ]);
    const [{ inference_count }] = one.model_stats as [{ inference_count: number }];
    expect(inference_count).toBeGreaterThanOrEqual(3);
    const all = await call("ModelStatistics");
    expect((all.model_stats as unknown[]).length).toBeGreaterThan(10);
  });
  test("repository: index, load and unload", async () => {
    const stateOf = async () => {
      const { models } = (await call("RepositoryIndex")) as { models: { name: string; state: string }[] };
      return models.find(({ name }) => name === "spare")?.state;
    };
    expect(await stateOf()).toBe("UNAVAILABLE");
    const { models } = (await call("RepositoryIndex", { ready: true })) as { models: { name: string }[] };
    expect(models.map(({ name }) => name)).not.toContain("spare");
    await call("RepositoryModelLoad", { model_name: "spare" });
    expect(await stateOf()).toBe("READY");
    await expect(infer("spare", { inputs: [fp32("x", [1, 4], [1, 2, 3, 4])] })).resolves.toBeDefined();
    await call("RepositoryModelUnload", { model_name: "spare" });
    expect(await stateOf()).toBe("UNAVAILABLE");
    await expect(call("RepositoryModelLoad", { model_name: "nobody" })).rejects.toMatchObject({
      code: status.NOT_FOUND,
    });
  });
});

describe("message encodings", () => {
  const big = fp32("x", [500, 4], new Array(2000).fill(1));
  test.each([
    ["deflate", 1],
    ["gzip", 2],
  ])("%s is read", async (_name, algorithm) => {
    const compressing = new InferenceClient(address, credentials.createInsecure(), {
      "grpc.default_compression_algorithm": algorithm,
    });
    const message = requestOf("identity_FP32", { inputs: [big] });
    const answer = await callBytes(`${service}/ModelInfer`, message, undefined, compressing);
    expect(decodeModelInferResponse(answer).outputs[0]?.data).toEqual(big.data);
    // A bomb: 5 MB of zeros, a few kilobytes on the wire.
    await expect(
      callBytes(`${service}/ModelInfer`, Buffer.alloc(5_000_000), undefined, compressing),
    ).rejects.toMatchObject({
      code: status.RESOURCE_EXHAUSTED,
    });
    compressing.close();
  });
  test("an encoding that isn't known is UNIMPLEMENTED, and the answer says which are", async () => {
    const { headers } = await raw({ "grpc-encoding": "zstd" }, [frame(Buffer.alloc(1))]);
    expect(headers).toMatchObject({ "grpc-status": "12", "grpc-accept-encoding": "identity,gzip,deflate" });
  });
  test("broken compression, and compression that nobody announced, are INVALID_ARGUMENT", async () => {
    const compressed = frame(Buffer.from("not gzip"));
    compressed[0] = 1;
    for (const encoding of ["gzip", "identity"]) {
      const { trailers } = await raw({ "grpc-encoding": encoding }, [compressed]);
      expect(trailers["grpc-status"]).toBe("3");
    }
  });
});

describe("ModelStreamInfer", () => {
  type Stream = ClientDuplexStream<Buffer, Buffer>;
  const open = (deadline?: number): Stream =>
    client.makeBidiStreamRequest(
      `${service}/ModelStreamInfer`,
      same,
      same,
      new Metadata(),
      deadline === undefined ? {} : { deadline: Date.now() + deadline },
    );
  /** Every answer until the stream ends; rejects with its status unless that is OK. */
  async function answersOf(stream: Stream) {
    const answers: ReturnType<typeof decodeModelStreamInferResponse>[] = [];
    for await (const bytes of stream) answers.push(decodeModelStreamInferResponse(bytes));
    return answers;
  }
  const byte = (value: number): Tensor => ({
    name: "x",
    datatype: "UINT8",
    shape: [1, 4],
    data: new Uint8Array(4).fill(value),
  });

  test("hundreds of requests are answered in their order, however many wait", async () => {
    const stream = open();
    for (let index = 0; index < 300; index += 1) {
      stream.write(requestOf("identity_UINT8", { id: String(index), inputs: [byte(index % 256)] }));
    }
    stream.end();
    const answers = await answersOf(stream);
    expect(answers.map((answer) => ("response" in answer ? answer.response.id : answer.error))).toEqual(
      Array.from({ length: 300 }, (_, index) => String(index)),
    );
    expect(answers[299]).toMatchObject({
      response: { outputs: [{ data: new Uint8Array(4).fill(299 % 256) }] },
    });
  });
  test("a slow request is answered before the fast ones behind it", async () => {
    const stream = open();
    stream.write(requestOf("slow", { id: "slow", inputs: [rows(16)] }));
    stream.write(requestOf("identity_UINT8", { id: "fast", inputs: [byte(1)] }));
    stream.end();
    expect((await answersOf(stream)).map((answer) => "response" in answer && answer.response.id)).toEqual([
      "slow",
      "fast",
    ]);
  });
  test("a request that fails is answered in its place, with its id, and the stream goes on", async () => {
    const stream = open();
    stream.write(requestOf("nobody", { id: "1", inputs: [byte(1)] }));
    stream.write(requestOf("identity_UINT8", { id: "2", inputs: [{ ...byte(1), shape: [9, 4] }] }));
    stream.write(Buffer.from([0xff]));
    stream.write(requestOf("identity_UINT8", { id: "4", inputs: [byte(4)] }));
    stream.end();
    const answers = await answersOf(stream);
    expect(answers).toMatchObject([
      { id: "1", error: expect.stringContaining("nobody") },
      { id: "2", error: expect.stringContaining("36") },
      { id: "", error: expect.stringContaining("can't be read") },
      { response: { id: "4" } },
    ]);
  });
  test("the last answer is marked for a client that asks, as Triton's decoupled API does", async () => {
    const stream = open();
    const parameters = { triton_enable_empty_final_response: true };
    stream.write(requestOf("identity_UINT8", { inputs: [byte(1)], parameters }));
    stream.end();
    expect(await answersOf(stream)).toMatchObject([
      { response: { parameters: { triton_final_response: true } } },
    ]);
  });
  test("a message over the bound ends the stream with RESOURCE_EXHAUSTED", async () => {
    const stream = open();
    stream.write(Buffer.alloc(4_000_001));
    await expect(answersOf(stream)).rejects.toMatchObject({ code: status.RESOURCE_EXHAUSTED });
  });
  test("the stream's deadline ends it", async () => {
    await expect(answersOf(open(50))).rejects.toMatchObject({ code: status.DEADLINE_EXCEEDED });
  });
  test("a deadline of years is none: the stream answers for as long as it is open", async () => {
    const stream = open(100 * 365 * 86_400_000);
    const answers = stream.iterator({ destroyOnReturn: false });
    for (let value = 0; value < 20; value += 1) {
      stream.write(requestOf("identity_UINT8", { inputs: [byte(value)] }));
      expect((await answers.next()).done).toBe(false);
    }
    stream.end();
    expect((await answers.next()).done).toBe(true);
  });
  test("a client that leaves takes its queued requests with it", async () => {
    const slow = () => [...served.server.repository.loaded()].find(({ name }) => name === "slow")?.inFlight;
    const stream = open();
    stream.on("error", () => undefined);
    for (let index = 0; index < 5; index += 1) stream.write(requestOf("slow", { inputs: [longRun] }));
    await eventually("requests in the queue", () => slow() === 5);
    stream.cancel();
    await eventually("an empty queue", () => slow() === 0);
  });
});

/** A call without a gRPC client: what a stranger may send. Resolves when the stream is closed. */
function raw(
  extra: Record<string, string>,
  chunks: readonly Buffer[],
  end = true,
): Promise<{ headers: Record<string, unknown>; trailers: Record<string, unknown> }> {
  return new Promise((resolve, reject) => {
    const session = connect(`http://${address}`);
    session.on("error", reject);
    const stream = session.request({
      ":method": "POST",
      ":path": `${service}/ModelInfer`,
      "content-type": "application/grpc",
      te: "trailers",
      ...extra,
    });
    let headers = {};
    let trailers = {};
    stream.on("response", (received) => {
      headers = received;
    });
    stream.on("trailers", (received) => {
      trailers = received;
    });
    stream.on("error", reject);
    stream.on("close", () => {
      session.close();
      resolve({ headers, trailers: { ...headers, ...trailers } });
    });
    stream.resume();
    for (const chunk of chunks) stream.write(chunk);
    if (end) stream.end();
  });
}

function frame(message: Buffer): Buffer {
  const bytes = Buffer.concat([Buffer.alloc(5), message]);
  bytes.writeUInt32BE(message.length, 1);
  return bytes;
}

describe("strangers", () => {
  test("random messages are INVALID_ARGUMENT or an empty request's NOT_FOUND, and the server goes on", async () => {
    let seed = 42;
    const random = () => {
      seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
      return seed >>> 16;
    };
    const messages = Array.from({ length: 300 }, () =>
      Buffer.from(Array.from({ length: random() % 40 }, () => random() & 0xff)),
    );
    const codes = await Promise.all(
      messages.map((message) =>
        callBytes(`${service}/ModelInfer`, message).then(
          () => status.OK,
          (error: ServiceError) => error.code,
        ),
      ),
    );
    for (const code of codes) expect([status.INVALID_ARGUMENT, status.NOT_FOUND]).toContain(code);
    expect(codes.filter((code) => code === status.INVALID_ARGUMENT).length).toBeGreaterThan(200);
    expect(await call("ServerReady")).toEqual({ ready: true });
  });
  test("no message, two messages, a part of one and a flag that is none are INVALID_ARGUMENT", async () => {
    const input: Tensor = { name: "x", datatype: "UINT8", shape: [1, 4], data: new Uint8Array(4) };
    const message = frame(requestOf("identity_UINT8", { inputs: [input] }));
    expect((await raw({}, [message])).trailers["grpc-status"]).toBe("0");
    for (const chunks of [
      [],
      [message, message],
      [message.subarray(0, 7)],
      [message, message.subarray(0, 7)],
      [Buffer.concat([message, Buffer.alloc(1)])],
      [Buffer.from([9, 0, 0, 0, 0])],
    ]) {
      expect((await raw({}, chunks)).trailers["grpc-status"]).toBe("3");
    }
  });
  test("what isn't gRPC is answered in HTTP's words", async () => {
    expect((await raw({ "content-type": "application/json" }, [])).headers[":status"]).toBe(415);
    expect((await raw({ ":method": "GET" }, [])).headers[":status"]).toBe(405);
  });
});

test("a request that dribbles is cut off in time", async () => {
  const slow = await serveModels(
    { x: { bytes: identityModel("FP32") } },
    { http: { bodyTimeoutSeconds: 1 } },
  );
  const before = address;
  address = `127.0.0.1:${slow.server.ports.grpc}`;
  try {
    const { trailers } = await raw({}, [Buffer.from([0, 0, 0, 1, 0, 7])], false);
    expect(trailers["grpc-status"]).toBe(String(status.DEADLINE_EXCEEDED));
  } finally {
    address = before;
    await slow[Symbol.asyncDispose]();
  }
});

describe("grpc.health.v1", () => {
  test("Check knows the server and its service, and nothing else", async () => {
    const health = new HealthClient(address, credentials.createInsecure());
    const check = (name: string) =>
      new Promise((resolve, reject) => {
        health.Check?.({ service: name }, (error: ServiceError | null, answer: { status: number }) =>
          error === null ? resolve(answer.status) : reject(error),
        );
      });
    expect(await check("")).toBe(1);
    expect(await check("inference.GRPCInferenceService")).toBe(1);
    await expect(check("other")).rejects.toMatchObject({ code: status.NOT_FOUND });
    health.close();
  });
  test("Watch answers its one request, though the client leaves its side open", async () => {
    const session = connect(`http://${address}`);
    const stream = session.request({
      ":method": "POST",
      ":path": "/grpc.health.v1.Health/Watch",
      "content-type": "application/grpc",
      te: "trailers",
    });
    stream.write(frame(Buffer.alloc(0)));
    const answer = await new Promise<Buffer>((resolve) => stream.once("data", resolve));
    expect([...answer]).toEqual([0, 0, 0, 0, 2, 8, 1]);
    session.destroy();
  });
  test("Watch says SERVICE_UNKNOWN of what isn't there", async () => {
    const health = new HealthClient(address, credentials.createInsecure());
    const watch = health.Watch?.({ service: "other" });
    const [first] = await new Promise<[{ status: number }]>((resolve) =>
      watch.once("data", (data: { status: number }) => resolve([data])),
    );
    expect(first.status).toBe(3);
    watch.on("error", () => undefined);
    watch.cancel();
    health.close();
  });
});
