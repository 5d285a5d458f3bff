import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { eventually } from "../../support/eventually.ts";
import { serveModels, type TestServer } from "../../support/inference-server.ts";
import { identityModel } from "../../support/onnx-models.ts";
import { RawConnection } from "../../support/raw-http.ts";

let served: TestServer;
beforeAll(async () => {
  served = await serveModels({
    identity: { bytes: identityModel("FP32") },
    delayed: {
      bytes: identityModel("FP32"),
      settings: { batching: { maxSize: 4, maxDelayMicroseconds: 10_000_000 } },
    },
  });
});
afterAll(() => served?.[Symbol.asyncDispose]());

const open = () => RawConnection.open(served.server.ports.http);
const body = JSON.stringify({ inputs: [{ name: "x", datatype: "FP32", shape: [1, 4], data: [1, 2, 3, 4] }] });
const post = (target: string) =>
  `POST ${target} HTTP/1.1\r\nhost: h\r\ncontent-length: ${body.length}\r\n\r\n${body}`;

describe("a request's target", () => {
  test.each([
    ["a whole address", "http://naru.example:8080/v2/models/identity/infer"],
    ["one whose scheme is spelled otherwise, with a query", "HTTPS://h/v2/models/identity/infer?trace=1"],
  ])("may be %s", async (_name, target) => {
    const connection = await open();
    connection.send(post(target));
    const answer = await connection.answer();
    expect(answer.head).toContain(" 200 ");
    expect(JSON.parse(answer.body).outputs[0].data).toEqual([1, 2, 3, 4]);
    // And the connection goes on.
    connection.send(post("/v2/models/identity/infer"));
    expect((await connection.answer()).head).toContain(" 200 ");
    connection.socket.destroy();
  });

  test("that is an address and no path is the root's", async () => {
    const connection = await open();
    connection.send("GET http://h HTTP/1.1\r\nhost: h\r\n\r\n");
    expect((await connection.answer()).head).toContain(" 404 ");
    connection.socket.destroy();
  });

  test.each([
    ["OPTIONS * HTTP/1.1\r\nhost: h\r\n\r\n"],
    ["GET ftp://h/v2 HTTP/1.1\r\nhost: h\r\n\r\n"],
    ["GET /v2 HTTP/1.1\r\n\r\n"],
    ["GET http://h/v2 HTTP/1.1\r\n\r\n"],
  ])("or a Host that can't be served is 400, and the connection ends: %j", async (request) => {
    const connection = await open();
    connection.send(request);
    expect((await connection.answer()).head).toContain(" 400 ");
    await connection.untilClosed();
  });

  test("CONNECT is no hang: the connection ends", async () => {
    const connection = await open();
    connection.send("CONNECT h:80 HTTP/1.1\r\nhost: h\r\n\r\n");
    await connection.untilClosed();
  });
});

describe("a client that closes its sending side behind a whole request", () => {
  test("is answered what needs no waiting", async () => {
    for (const target of ["/v2/health/ready", "/v2/models/identity"]) {
      const connection = await open();
      connection.socket.end(`GET ${target} HTTP/1.1\r\nhost: h\r\n\r\n`);
      expect((await connection.answer()).head).toContain(" 200 ");
      await connection.untilClosed();
    }
  });

  test("has left as far as anybody can tell: its connection ends and what waited for it is dropped", async () => {
    const connection = await open();
    const pending = async () => {
      const text = await (await fetch(`${served.adminUrl}/metrics`)).text();
      return Number(/naru_inference_pending_request_count\{model="delayed"[^}]*\} (\d+)/.exec(text)?.[1]);
    };
    connection.send(post("/v2/models/delayed/infer"));
    await eventually("the request waits", async () => (await pending()) === 1);
    connection.socket.end();
    await connection.untilClosed();
    await eventually("nothing waits", async () => (await pending()) === 0);
    expect(connection.received).toBe("");
  });
});
