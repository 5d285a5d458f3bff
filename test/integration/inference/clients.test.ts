import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
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

/** Triton's load generator: `NARU_PERF_ANALYZER`, or where install-clients.sh has put it. */
const analyzer = process.env.NARU_PERF_ANALYZER ?? join(dirname(python), "perf_analyzer");
const noAnalyzer = !existsSync(analyzer);
if (noAnalyzer) console.warn("skipped: no perf_analyzer; install-clients.sh says why");

const execute = promisify(execFile);

describe("clients that others wrote work unchanged", () => {
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

  test.skipIf(missing)("tritonclient over HTTP", () => check("triton_http", served.server.ports.http));
  test.skipIf(missing)("tritonclient over gRPC", () => check("triton_grpc", served.server.ports.grpc));
  test.skipIf(missing)("kserve's REST client", () => check("kserve_rest", served.server.ports.http));

  /** It reads metadata, configuration and statistics before and after, and fails where they don't add up. */
  test.skipIf(noAnalyzer).each([
    ["HTTP", []],
    ["gRPC", ["-i", "grpc"]],
    ["a gRPC stream", ["-i", "grpc", "--streaming"]],
  ])("perf_analyzer over %s", async (_name, options) => {
    const { http, grpc } = served.server.ports;
    const address = `127.0.0.1:${options.length === 0 ? http : grpc}`;
    const windows = ["--concurrency-range", "4", "-b", "2", "-p", "300", "-r", "3", "-s", "1000"];
    const { stdout } = await execute(analyzer, ["-m", "cnn", "-u", address, ...options, ...windows], {
      timeout: 50_000,
    });
    expect(stdout).toMatch(/Successful request count: [1-9]/);
    expect(stdout).toMatch(/Concurrency: 4, throughput: [1-9]/);
  });
});
