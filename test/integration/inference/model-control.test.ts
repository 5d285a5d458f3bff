import { afterAll, beforeAll, expect, test } from "vitest";
import { serveModels, type TestServer } from "../../support/inference-server.ts";
import { identityModel } from "../../support/onnx-models.ts";

let served: TestServer;
beforeAll(async () => {
  served = await serveModels({ rows: { bytes: identityModel("FP32") } });
});
afterAll(() => served?.[Symbol.asyncDispose]());

test("no client loads or unloads a model where the resource does not say so, and what is loaded stays", async () => {
  for (const action of ["load", "unload"]) {
    const path = `${served.url}/v2/repository/models/rows/${action}`;
    const answer = await fetch(path, { method: "POST", body: "{}" });
    expect(answer.status, action).toBe(400);
    expect(await answer.text(), action).toContain("models are not loaded and unloaded by request");
  }
  expect((await fetch(`${served.url}/v2/models/rows/ready`)).status).toBe(200);
});
