import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { encodeInferRequest } from "../../../lib/v2/infer-request.ts";
import { serveModels, type TestServer } from "../../support/inference-server.ts";
import { addSubModel, identityModel } from "../../support/onnx-models.ts";

let served: TestServer;

beforeAll(async () => {
  served = await serveModels({
    addsub: { bytes: addSubModel("INT32") },
    text: { bytes: identityModel("BYTES") },
  });
});
afterAll(() => served?.[Symbol.asyncDispose]());

const valid = {
  addsub: encodeInferRequest(
    {
      inputs: ["a", "b"].map((name) => ({
        name,
        datatype: "INT32",
        shape: [2, 4],
        data: new Int32Array(8).fill(7),
      })),
      outputs: [{ name: "sum", binary: true, classCount: 1 }],
      parameters: { timeout: 1_000_000 },
    },
    { binary: true },
  ),
  text: encodeInferRequest(
    {
      inputs: [
        {
          name: "x",
          datatype: "BYTES",
          shape: [1, 4],
          data: ["a", "bc", "", "é"].map((text) => Buffer.from(text)),
        },
      ],
      outputs: [],
      parameters: {},
    },
    { binary: true },
  ),
};

test("a request with any bytes changed, cut or added is answered, and never as the server's own fault", async () => {
  const change = fc.record({
    model: fc.constantFrom("addsub" as const, "text" as const),
    at: fc.nat(),
    bytes: fc.uint8Array({ maxLength: 4 }),
    removed: fc.nat(6),
    skew: fc.constantFrom(0, 0, 0, 1, -1),
  });
  const statuses = new Set<number>();
  await fc.assert(
    fc.asyncProperty(change, async ({ model, at, bytes, removed, skew }) => {
      const { body, headerLength = 0 } = valid[model];
      const position = at % body.length;
      const changed = Buffer.concat([body.subarray(0, position), bytes, body.subarray(position + removed)]);
      const headers = { "inference-header-content-length": String(headerLength + skew) };
      const answer = await fetch(`${served.url}/v2/models/${model}/infer`, {
        method: "POST",
        headers,
        body: changed,
      });
      statuses.add(answer.status);
      await answer.arrayBuffer();
      expect([200, 400, 504]).toContain(answer.status);
    }),
    { numRuns: 400 },
  );
  expect(statuses).toContain(400);
  expect((await fetch(`${served.url}/v2/health/live`)).status).toBe(200);
});
