import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inferenceConfig } from "../../lib/config/inference.ts";
import { createLogger } from "../../lib/telemetry/logger.ts";
import { encodeInferRequest } from "../../lib/v2/infer-request.ts";
import { decodeInferResponse } from "../../lib/v2/infer-response.ts";
import type { InferRequest, InferResponse } from "../../lib/v2/types.ts";
import { type InferenceServer, startInference } from "../../runtimes/inference/server.ts";

/** An inference server in this process, on ports of its own, with models written for the test. */
export interface TestServer extends AsyncDisposable {
  readonly server: InferenceServer;
  /** `http://127.0.0.1:PORT` of clients. */
  readonly url: string;
  readonly adminUrl: string;
  infer(
    model: string,
    request: Partial<InferRequest>,
    options?: { binary?: boolean },
  ): Promise<InferResponse>;
}

export interface TestModel {
  readonly bytes: Uint8Array;
  /** Fields of `models[]` in inference.json, beside name and path. */
  readonly settings?: Readonly<Record<string, unknown>>;
}

/** `settings`: fields of inference.json. */
export async function serveModels(
  models: Readonly<Record<string, TestModel>>,
  settings: Readonly<Record<string, unknown>> = {},
): Promise<TestServer> {
  const directory = await mkdtemp(join(tmpdir(), "naru-models-"));
  for (const [name, { bytes }] of Object.entries(models))
    await writeFile(join(directory, `${name}.onnx`), bytes);
  const config = inferenceConfig.parse({
    ...settings,
    models: Object.entries(models).map(([name, model]) => ({
      name,
      path: `${name}.onnx`,
      ...model.settings,
    })),
  });
  const env = { modelsDir: directory, httpPort: 0, grpcPort: 0, adminPort: 0, listenHost: "127.0.0.1" };
  const server = await startInference(config, env, createLogger("test", { level: "silent" }));
  const url = `http://127.0.0.1:${server.ports.http}`;
  return {
    server,
    url,
    adminUrl: `http://127.0.0.1:${server.ports.admin}`,
    async infer(model, request, { binary = false } = {}) {
      const whole = { inputs: [], outputs: [], parameters: {}, ...request };
      const { body, headerLength } = encodeInferRequest(whole, { binary });
      const headers: Record<string, string> =
        headerLength === undefined ? {} : { "inference-header-content-length": String(headerLength) };
      const response = await fetch(`${url}/v2/models/${model}/infer`, {
        method: "POST",
        headers,
        body: new Uint8Array(body),
      });
      const answer = Buffer.from(await response.arrayBuffer());
      if (response.status !== 200) throw new Error(`${response.status} ${answer}`);
      const length = response.headers.get("inference-header-content-length");
      return decodeInferResponse(answer, length === null ? undefined : Number(length));
    },
    async [Symbol.asyncDispose]() {
      server.stop();
      await server.repository.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}
