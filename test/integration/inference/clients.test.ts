import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, test } from "vitest";
import { serveModels, type TestServer } from "../../support/inference-server.ts";
import { identityModel, smallCnnModel } from "../../support/onnx-models.ts";

/**
 * The protocol has no conformance suite; its clients are one. They are installed by test/support/install-clients.sh, or
 * NARU_CLIENTS_PYTHON names a Python that has them.
 */
const python =
  process.env.NARU_CLIENTS_PYTHON ?? join(import.meta.dirname, "../../../.naru/clients/bin/python");
const missing = !existsSync(python);
if (missing)
  console.warn(`skipped: no Python with tritonclient and kserve; run test/support/install-clients.sh`);

const execute = promisify(execFile);

describe.skipIf(missing)("clients that others wrote work unchanged", () => {
  let served: TestServer;

  beforeAll(async () => {
    const light = { warmupRuns: 1 };
    const datatypes = ["FP16", "FP32", "FP64", "INT8", "INT64", "UINT64", "BOOL", "BYTES"] as const;
    served = await serveModels(
      {
        cnn: { bytes: smallCnnModel() },
        spare: { bytes: identityModel("FP32"), settings: { onDemand: true } },
        ...Object.fromEntries(
          datatypes.map((datatype) => [
            `identity_${datatype}`,
            { bytes: identityModel(datatype), settings: light },
          ]),
        ),
      },
      { modelControl: "Explicit" },
    );
  });
  afterAll(() => served?.[Symbol.asyncDispose]());

  const check = (name: string, port: number) =>
    execute(python, [join(import.meta.dirname, "clients.py"), name, `127.0.0.1:${port}`], {
      timeout: 50_000,
    });

  test("tritonclient over HTTP", () => check("triton_http", served.server.ports.http));
  test("tritonclient over gRPC", () => check("triton_grpc", served.server.ports.grpc));
  test("kserve's REST client", () => check("kserve_rest", served.server.ports.http));
});
