import { gzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { eventually } from "../../support/eventually.ts";
import { infer, inferBody, outputOf, router, server } from "./harness.ts";
import { doubling, type TestModel, type V2Server } from "./v2-server.ts";

const mirrored = (a: V2Server, b: V2Server, percent = 100, compare = "Values") => ({
  generation: "g1",
  model: "digits",
  stable: { revision: "r1", weightPercent: 100, backend: { http: a.url } },
  canary: { revision: "r2", weightPercent: 0, backend: { http: b.url } },
  mirror: { percent, compare, tolerance: 0.01 },
});

/** Wrong for every x ≥ 10. */
const wrongAboveTen: TestModel = {
  ...doubling,
  infer: ({ inputs }) => {
    const x = inputs[0]?.data as Float32Array;
    return [{ name: "y", datatype: "FP32", shape: [x.length], data: x.map((v) => (v < 10 ? v * 2 : 0)) }];
  },
};

describe("a mirror", () => {
  it("copies its share of requests to a canary of weight 0, counts what diverges, and shows clients stable alone", async () => {
    const [a, b] = [await server(), await server({ models: { digits: wrongAboveTen } })];
    const { url, report } = await router(mirrored(a, b, 50));
    for (let n = 0; n < 40; n += 1) {
      const answer = await infer(url, inferBody(n));
      expect(answer.headers.get("naru-revision")).toBe("r1");
      expect(await outputOf(answer)).toEqual([n * 2]);
    }
    await eventually("all copies compared", async () => (await report()).tracks[1]?.mirrored === 20);
    // Every second one of 0 … 39 is copied; 15 of them are ten or more.
    expect((await report()).tracks).toMatchObject([
      { revision: "r1", requests: 40, mirrored: 0 },
      { revision: "r2", requests: 0, mirrored: 20, diverged: 15, mirrorErrors: 0 },
    ]);
  });

  it("counts a canary that fails or refuses, apart from one that diverges", async () => {
    let n = 0;
    const a = await server();
    const b = await server({
      intercept: (request, response) => {
        n += 1;
        if (n % 2 === 0) response.writeHead(500).end();
        else request.socket.destroy();
        return true;
      },
    });
    const { url, report } = await router(mirrored(a, b));
    for (let i = 0; i < 4; i += 1) expect((await infer(url)).status).toBe(200);
    await eventually("all copies tried", async () => (await report()).tracks[1]?.mirrored === 4);
    expect((await report()).tracks[1]).toMatchObject({ errors: 0, diverged: 0, mirrorErrors: 4 });
  });

  it("neither slows nor fails a client when the canary hangs; copies beyond the bound are dropped", async () => {
    const a = await server();
    const b = await server({ intercept: () => true });
    const { url, admin, report } = await router(mirrored(a, b));
    const body = inferBody(...Array.from({ length: 100_000 }, () => 0.5));
    for (let i = 0; i < 80; i += 1) expect((await infer(url, body)).status).toBe(200);
    expect(b.seen.length).toBeLessThanOrEqual(8);
    const metrics = await (await fetch(`${admin}/metrics`)).text();
    const bytes = Number(/^naru_router_mirror_bytes (\d+)$/m.exec(metrics)?.[1]);
    expect(bytes).toBeLessThanOrEqual(32 * 1024 * 1024);
    expect(metrics).toMatch(/naru_router_mirrored_total\{revision="r2",outcome="dropped"\} [1-9]/);
    expect((await report()).tracks[0]).toMatchObject({ requests: 80, errors: 0 });
  });

  it("compares what is compressed and what is binary", async () => {
    const [a, b] = [await server(), await server()];
    const zipped = await server({
      intercept: (_request, response) => {
        const text = JSON.stringify({
          model_name: "digits",
          outputs: [{ name: "y", datatype: "FP32", shape: [2], data: [2, 4] }],
        });
        response.writeHead(200, { "content-encoding": "gzip" });
        response.end(gzipSync(text));
        return true;
      },
    });
    const compressed = await router(mirrored(zipped, b));
    await infer(compressed.url, inferBody(1, 2));
    const same = { mirrored: 1, diverged: 0, mirrorErrors: 0 };
    await eventually("compared", async () => (await compressed.report()).tracks[1]?.mirrored === 1);
    expect((await compressed.report()).tracks[1]).toMatchObject(same);

    const binary = await router(mirrored(a, b));
    const body = JSON.stringify({
      inputs: [{ name: "x", datatype: "FP32", shape: [2], data: [1, 2] }],
      parameters: { binary_data_output: true },
    });
    expect((await infer(binary.url, body)).headers.get("inference-header-content-length")).not.toBeNull();
    await eventually("compared", async () => (await binary.report()).tracks[1]?.mirrored === 1);
    expect((await binary.report()).tracks[1]).toMatchObject(same);
  });
});
