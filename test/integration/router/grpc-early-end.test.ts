import {
  type ClientHttp2Stream,
  connect,
  constants,
  createServer,
  type Http2Server,
  type ServerHttp2Stream,
} from "node:http2";
import type { AddressInfo } from "node:net";
import { afterEach, expect, test } from "vitest";
import { startGrpcServer } from "./grpc-server.ts";
import { router } from "./harness.ts";
import { doubling } from "./v2-server.ts";

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

/** A backend that says what `answer` says as soon as a call comes. */
async function backend(answer: (stream: ServerHttp2Stream) => void): Promise<string> {
  const server: Http2Server = createServer();
  server.on("stream", (stream) => {
    stream.on("error", () => undefined);
    answer(stream);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  closers.push(() => server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function throughRouter(grpc: string, path: string, headers: Record<string, string> = {}) {
  const { running } = await router({
    generation: "g1",
    model: "digits",
    stable: { revision: "r1", weightPercent: 100, backend: { http: "http://127.0.0.1:9", grpc } },
  });
  const session = connect(`http://127.0.0.1:${running.ports.grpc}`);
  closers.push(() => session.destroy());
  const stream = session.request({
    ":method": "POST",
    ":path": path,
    "content-type": "application/grpc",
    te: "trailers",
    ...headers,
  });
  return { stream, ended: endOf(stream) };
}

function endOf(stream: ClientHttp2Stream) {
  return new Promise<{ status: unknown; rst: number | undefined }>((resolve, reject) => {
    let status: unknown;
    stream.on("response", (headers) => {
      status = headers["grpc-status"];
    });
    stream.on("trailers", (trailers) => {
      status = trailers["grpc-status"];
    });
    stream.on("error", reject);
    stream.on("close", () => resolve({ status, rst: stream.rstCode }));
    stream.resume();
  });
}

const grpc = { ":status": 200, "content-type": "application/grpc" };
const streamInfer = "/inference.GRPCInferenceService/ModelStreamInfer";

test.each<[string, (stream: ServerHttp2Stream) => void]>([
  [
    "trailers alone",
    (stream) => {
      stream.respond({ ...grpc, "grpc-status": "12" }, { endStream: true });
      stream.resume();
    },
  ],
  [
    "an answer and trailers",
    (stream) => {
      stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "12" }));
      stream.respond(grpc, { waitForTrailers: true });
      stream.end(Buffer.from([0, 0, 0, 0, 0]));
    },
  ],
  [
    "an answer, trailers and a reset",
    (stream) => {
      stream.on("wantTrailers", () => {
        stream.sendTrailers({ "grpc-status": "12" });
        setImmediate(() => stream.close(constants.NGHTTP2_NO_ERROR));
      });
      stream.respond(grpc, { waitForTrailers: true });
      stream.end(Buffer.from([0, 0, 0, 0, 0]));
    },
  ],
])(
  "a backend that ends a call by %s ends it for a client that is still sending: it hears the status, and its stream closes",
  async (_by, answer) => {
    const { stream, ended } = await throughRouter(await backend(answer), streamInfer);
    stream.write(Buffer.from([0, 0, 0, 0, 9]));
    expect(await ended).toEqual({ status: "12", rst: constants.NGHTTP2_NO_ERROR });
  },
);

test("a grpc-timeout that is none reaches the backend as it is, which refuses it", async () => {
  const seen = await startGrpcServer(doubling);
  closers.push(() => seen.close());
  const { stream, ended } = await throughRouter(seen.url, "/inference.GRPCInferenceService/ModelInfer", {
    "grpc-timeout": "soon",
  });
  stream.end(Buffer.from([0, 0, 0, 0, 0]));
  await ended;
  expect(seen.calls[0]?.headers["grpc-timeout"]).toBe("soon");
});
