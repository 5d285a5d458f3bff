import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { decodeInferResponse } from "../../../lib/v2/infer-response.ts";
import { serveModels, type TestServer } from "../../support/inference-server.ts";
import { addSubModel, identityModel, smallCnnModel } from "../../support/onnx-models.ts";

let served: TestServer;
beforeAll(async () => {
  served = await serveModels({
    rows: { bytes: identityModel("FP32", ["N", 2]) },
    matrix: { bytes: identityModel("FP32", ["N", "M"]) },
    deep: { bytes: identityModel("FP32", ["N", "M", "K"]) },
    text: { bytes: identityModel("BYTES", ["N"]) },
    cnn: { bytes: smallCnnModel() },
    two: { bytes: addSubModel("INT32") },
  });
});
afterAll(() => served?.[Symbol.asyncDispose]());

function send(model: string, body: Uint8Array): Promise<Response> {
  return fetch(`${served.url}/v2/models/${model}/infer`, {
    method: "POST",
    headers: { "content-type": "application/octet-stream", "inference-header-content-length": "0" },
    body: new Uint8Array(body),
  });
}

async function outputs(response: Response) {
  expect(response.status).toBe(200);
  const length = Number(response.headers.get("inference-header-content-length"));
  return decodeInferResponse(new Uint8Array(await response.arrayBuffer()), length).outputs;
}

const floats = (...values: number[]) => new Uint8Array(Float32Array.from(values).buffer);

describe("a body that is a tensor and nothing else", () => {
  test("has the model's type, and the one open dimension follows from its size", async () => {
    expect(await outputs(await send("rows", floats(1, 2, 3, 4, 5, 6)))).toMatchObject([
      { datatype: "FP32", shape: [3, 2], data: Float32Array.of(1, 2, 3, 4, 5, 6) },
    ]);
  });

  test("is a batch of one where two dimensions are open", async () => {
    expect(await outputs(await send("matrix", floats(1, 2, 3)))).toMatchObject([{ shape: [1, 3] }]);
  });

  test("is one element of BYTES", async () => {
    const word = Buffer.from("나루");
    const element = Buffer.concat([Buffer.from([word.length, 0, 0, 0]), word]);
    const [output] = await outputs(await send("text", element));
    expect(output).toMatchObject({ datatype: "BYTES", shape: [1], data: [word] });
  });

  test.each([
    ["two inputs", "two", floats(1, 2)],
    ["three open dimensions", "deep", floats(1, 2)],
    ["half a row", "rows", floats(1, 2, 3)],
    ["half an element", "rows", new Uint8Array(6)],
    ["an image that is too small", "cnn", floats(1, 2, 3)],
  ])("is refused with what to do: %s", async (_name, model, body) => {
    const response = await send(model, body);
    expect(response.status).toBe(400);
    expect(((await response.json()) as { error: string }).error).toMatch(/raw binary|does not follow|bytes/);
  });
});

test("a method that a path does not take is answered with those it takes", async () => {
  const response = await fetch(`${served.url}/v2/models/rows/infer`);
  expect([response.status, response.headers.get("allow")]).toEqual([405, "POST"]);
});
