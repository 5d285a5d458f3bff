import { once } from "node:events";
import {
  type ClientHttp2Session,
  connect,
  constants,
  createServer,
  type ServerHttp2Stream,
} from "node:http2";
import type { AddressInfo } from "node:net";
import { afterEach, expect, test, vi } from "vitest";
import { type HttpConfig, httpConfig } from "../../../lib/config/inference.ts";
import { manageHttp2 } from "../../../lib/http/http2-lifecycle.ts";
import type { ServerLifecycle } from "../../../lib/http/lifecycle.ts";
import { RawConnection } from "../../support/raw-http.ts";

const lifecycles: ServerLifecycle[] = [];
const clients: ClientHttp2Session[] = [];
afterEach(() => {
  for (const client of clients.splice(0)) client.destroy();
  for (const lifecycle of lifecycles.splice(0)) lifecycle.stop();
});

async function serve(overrides: Partial<HttpConfig> = {}) {
  const config = { ...httpConfig.parse({}), ...overrides };
  const waiting: ServerHttp2Stream[] = [];
  const server = createServer();
  const lifecycle = manageHttp2(server, config, { random: () => 0.5 });
  lifecycles.push(lifecycle);
  server.on("stream", (stream, headers) => {
    stream.on("error", () => undefined);
    if (headers[":path"] === "/wait") waiting.push(stream);
    else stream.respond({ ":status": 200 }, { endStream: true });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const untilWaiting = async () => {
    while (waiting.length === 0) await new Promise((resolve) => setImmediate(resolve));
    return waiting.shift() as ServerHttp2Stream;
  };
  return { lifecycle, port, untilWaiting };
}

async function open(port: number) {
  const session = connect(`http://127.0.0.1:${port}`);
  clients.push(session);
  const seen = { goaway: undefined as { code: number; last: number } | undefined, closed: false };
  session.on("goaway", (code, last) => {
    seen.goaway = { code, last };
  });
  session.on("close", () => {
    seen.closed = true;
  });
  session.on("error", () => undefined);
  await once(session, "remoteSettings");
  return { session, seen };
}

async function request(session: ClientHttp2Session, path = "/"): Promise<number> {
  const stream = session.request({ ":path": path });
  stream.resume();
  const [headers] = await once(stream, "response");
  return headers[":status"];
}

test("a drain sends GOAWAY and lets the streams that are open end", async () => {
  const { lifecycle, port, untilWaiting } = await serve();
  const { session, seen } = await open(port);
  const answered = request(session, "/wait");
  const stream = await untilWaiting();
  const drained = lifecycle.drain({ quietMilliseconds: 1 });
  await once(session, "goaway");
  expect(seen.goaway).toEqual({ code: constants.NGHTTP2_NO_ERROR, last: 1 });
  stream.respond({ ":status": 200 }, { endStream: true });
  expect(await answered).toBe(200);
  expect(await drained).toMatchObject({ served: 1, cut: 0 });
});

test("a connection that comes during the drain is served for a while, and then ended", async () => {
  const { lifecycle, port } = await serve();
  const drained = lifecycle.drain({ quietMilliseconds: 300 });
  const { session } = await open(port);
  const closed = once(session, "close");
  expect(await request(session)).toBe(200);
  await closed;
  expect(await drained).toMatchObject({ served: 1, cut: 0 });
});

test("past its age, a session with streams open gets GOAWAY and ends with them", async () => {
  const { port, untilWaiting } = await serve({ connectionMaxAgeSeconds: 0.1 });
  const { session, seen } = await open(port);
  const answered = request(session, "/wait");
  const stream = await untilWaiting();
  await once(session, "goaway");
  expect(seen.closed).toBe(false);
  stream.respond({ ":status": 200 }, { endStream: true });
  expect(await answered).toBe(200);
  await once(session, "close");
});

test("past its age, an idle session serves one more stream, and it is the last", async () => {
  const { port } = await serve({ connectionMaxAgeSeconds: 0.1 });
  const { session, seen } = await open(port);
  await new Promise((resolve) => setTimeout(resolve, 200));
  expect(seen).toEqual({ goaway: undefined, closed: false });
  const closed = once(session, "close");
  expect(await request(session)).toBe(200);
  await closed;
  expect(seen.goaway).toMatchObject({ last: 1 });
});

test("after the grace, a stream that never ends is cut", async () => {
  const { lifecycle, port, untilWaiting } = await serve({
    connectionMaxAgeSeconds: 0.1,
    connectionMaxAgeGraceSeconds: 0.1,
  });
  const { session } = await open(port);
  const stream = session.request({ ":path": "/wait" });
  stream.on("error", () => undefined);
  await untilWaiting();
  await once(session, "close");
  await vi.waitFor(() => expect(lifecycle.inFlight).toBe(0));
});

test("a session without streams is closed after the keep-alive time, one with a stream is not", async () => {
  const { port, untilWaiting } = await serve({ keepAliveSeconds: 0.1 });
  const busy = await open(port);
  const answered = request(busy.session, "/wait");
  const stream = await untilWaiting();
  const idle = await open(port);
  await once(idle.session, "close");
  expect(busy.seen.closed).toBe(false);
  stream.respond({ ":status": 200 }, { endStream: true });
  expect(await answered).toBe(200);
});

test("a connection that never speaks HTTP/2 is cut off", async () => {
  const { lifecycle, port } = await serve({ headersTimeoutSeconds: 0.1 });
  const silent = await RawConnection.open(port);
  await silent.untilClosed();
  await vi.waitFor(() => expect(lifecycle.connections).toBe(0));
});
