import { type ClientHttp2Session, connect } from "node:http2";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { eventually } from "../../support/eventually.ts";
import { serveModels, type TestServer } from "../../support/inference-server.ts";
import { identityModel } from "../../support/onnx-models.ts";
import { RawConnection } from "../../support/raw-http.ts";

const MB = 1024 * 1024;
/** Three of the largest bodies may be held; of them, seven eighths by large requests. */
const limit = 24 * MB;

let served: TestServer;
beforeAll(async () => {
  served = await serveModels(
    { identity: { bytes: identityModel("FP32", ["N", "M"]) } },
    { maxRequestBytes: limit / 3, maxHeldBytes: 1 },
  );
});
afterAll(() => served?.[Symbol.asyncDispose]());

async function metric(name: string): Promise<number> {
  const text = await (await fetch(`${served.adminUrl}/metrics`)).text();
  return Number(new RegExp(`^${name} (\\d+)`, "m").exec(text)?.[1]);
}

const small = (length: number) =>
  served.infer("identity", {
    inputs: [{ name: "x", datatype: "FP32", shape: [1, length], data: new Float32Array(length) }],
  });

/** Eight requests of 4 MB that never end, which is more than may be held. */
const senders = 8;
const sentBytes = 4 * MB;
const held = () =>
  eventually("the bound is reached", async () => (await metric("naru_body_bytes")) > 16 * MB);

describe("many large requests that are sent slowly", () => {
  test("are refused beyond the bound with 503 over REST, while small ones are answered; when they go, all is given back", async () => {
    const refusedBefore = await metric("naru_body_refused_total");
    const connections = await Promise.all(
      Array.from({ length: senders }, () => RawConnection.open(served.server.ports.http)),
    );
    for (const connection of connections) {
      connection.send(
        "POST /v2/models/identity/infer HTTP/1.1\r\nhost: h\r\ncontent-length: 8000000\r\n\r\n",
      );
      connection.socket.write(Buffer.alloc(sentBytes));
    }
    await held();
    const refused = () => connections.filter(({ received }) => received !== "");
    await eventually("the rest are refused", () => refused().length >= senders - 5);
    expect(refused().length).toBeLessThan(senders);
    for (const connection of refused()) {
      const { head } = await connection.answer();
      expect(head).toContain(" 503 ");
      expect(head).toContain("retry-after: 1");
      expect(head).toContain("naru-error-code: serverfull");
    }
    expect(await metric("naru_body_bytes")).toBeLessThanOrEqual((limit * 7) / 8);
    expect(await metric("naru_body_bytes_limit")).toBe(limit);
    expect(await metric("naru_body_refused_total")).toBeGreaterThan(refusedBefore);
    for (let n = 0; n < 20; n += 1) expect((await small(1000)).outputs[0]?.shape).toEqual([1, 1000]);

    for (const { socket } of connections) socket.destroy();
    await eventually("nothing is held", async () => (await metric("naru_body_bytes")) === 0);
  });

  test("are refused beyond the bound as UNAVAILABLE over gRPC, unary calls and streams alike", async () => {
    for (const method of ["ModelInfer", "ModelStreamInfer"]) {
      const sessions: ClientHttp2Session[] = [];
      const statuses: unknown[] = [];
      for (let n = 0; n < senders; n += 1) {
        const session = connect(`http://127.0.0.1:${served.server.ports.grpc}`);
        sessions.push(session);
        const stream = session.request({
          ":method": "POST",
          ":path": `/inference.GRPCInferenceService/${method}`,
          "content-type": "application/grpc",
          te: "trailers",
        });
        const onEnd = (headers: Record<string, unknown>) => {
          if (headers["grpc-status"] !== undefined) statuses.push(headers["grpc-status"]);
        };
        stream
          .on("response", onEnd)
          .on("trailers", onEnd)
          .on("error", () => undefined);
        session.on("error", () => undefined);
        const frame = Buffer.alloc(5 + sentBytes);
        frame.writeUInt32BE(8_000_000, 1);
        stream.write(frame);
      }
      await held();
      await eventually("the rest are refused", () => statuses.length >= senders - 5);
      expect(statuses.length).toBeLessThan(senders);
      expect(new Set(statuses)).toEqual(new Set(["14"]));
      expect((await small(1000)).outputs[0]?.shape).toEqual([1, 1000]);
      for (const session of sessions) session.destroy();
      await eventually("nothing is held", async () => (await metric("naru_body_bytes")) === 0);
    }
  });
});

describe("nothing is held of a request", () => {
  const post = (body: Buffer | string, headers: Record<string, string> = {}) =>
    fetch(`${served.url}/v2/models/identity/infer`, { method: "POST", headers, body: body as string });
  const json = (length: number) =>
    JSON.stringify({
      inputs: [{ name: "x", datatype: "FP32", shape: [1, length], data: new Array(length).fill(1) }],
    });

  test.each([
    ["that was answered", () => post(json(10)), 200],
    ["that was compressed", () => post(gzipSync(json(100_000)), { "content-encoding": "gzip" }), 200],
    ["whose body is no JSON", () => post("{"), 400],
    ["whose body is not compressed as it says", () => post("{}", { "content-encoding": "gzip" }), 400],
    ["that is too large", () => post(Buffer.alloc(limit / 3 + 1)), 413],
    [
      "that inflates to too much",
      () => post(gzipSync(Buffer.alloc(limit)), { "content-encoding": "gzip" }),
      413,
    ],
  ])("%s", async (_name, ask, status) => {
    const response = await ask();
    expect(response.status).toBe(status);
    await response.arrayBuffer();
    await eventually("nothing is held", async () => (await metric("naru_body_bytes")) === 0);
  });

  test("that inflates beyond what may be held: the rest of its kind is refused, and what it took is given back", async () => {
    const bomb = gzipSync(Buffer.alloc(limit / 3));
    const statuses = await Promise.all(
      Array.from({ length: 16 }, async () => {
        const response = await post(bomb, { "content-encoding": "gzip" });
        await response.arrayBuffer();
        return response.status;
      }),
    );
    expect(statuses).toContain(503);
    expect(statuses.every((status) => status === 400 || status === 503)).toBe(true);
    await eventually("nothing is held", async () => (await metric("naru_body_bytes")) === 0);
  });
});
