import { once } from "node:events";
import { createServer, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, expect, test, vi } from "vitest";
import { type HttpConfig, httpConfig } from "../../../lib/config/inference.ts";
import { manageHttp1 } from "../../../lib/http/http1-lifecycle.ts";
import type { ServerLifecycle } from "../../../lib/http/lifecycle.ts";
import { httpServerOptions } from "../../../lib/http/server-options.ts";
import { RawConnection } from "../../support/raw-http.ts";

const lifecycles: ServerLifecycle[] = [];
afterEach(() => {
  for (const lifecycle of lifecycles.splice(0)) lifecycle.stop();
});

/** `/` answers at once; `/wait` when the test lets it. */
async function serve(overrides: Partial<HttpConfig> = {}, random = () => 0.5) {
  const config = { ...httpConfig.parse({}), ...overrides };
  const waiting: ServerResponse[] = [];
  const server: Server = createServer(httpServerOptions(config), (request, response) => {
    request.resume();
    request.on("end", () => {
      if (request.url === "/wait") waiting.push(response);
      else response.end("ok");
    });
  });
  const lifecycle = manageHttp1(server, config, { random });
  lifecycles.push(lifecycle);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const untilWaiting = async () => {
    while (waiting.length === 0) await new Promise((resolve) => setImmediate(resolve));
    return waiting.shift() as ServerResponse;
  };
  return { server, lifecycle, port, untilWaiting };
}

test("in a drain, an idle connection stays open, and the request that comes on it is served and its answer says close", async () => {
  const { lifecycle, port } = await serve();
  const idle = await RawConnection.open(port);
  expect((await idle.request("/")).head).toContain("connection: keep-alive");

  const drained = lifecycle.drain({ quietMilliseconds: 20 });
  // Another connection comes and goes, which takes longer than a cut of the idle one would.
  const other = await RawConnection.open(port);
  await other.request("/");
  await other.untilClosed();
  expect(idle.closed).toBe(false);

  const answer = await idle.request("/");
  expect(answer.head).toContain("200 ok");
  expect(answer.head).toContain("connection: close");
  await idle.untilClosed();
  expect(await drained).toMatchObject({ served: 2, idleClosed: 0, cut: 0 });
});

test("a connection that comes during the drain is served, and its first answer says close", async () => {
  const { lifecycle, port } = await serve();
  const drained = lifecycle.drain({ quietMilliseconds: 300 });
  const late = await RawConnection.open(port);
  const answer = await late.request("/");
  expect(answer).toMatchObject({ body: "ok" });
  expect(answer.head).toContain("connection: close");
  expect((await drained).served).toBe(1);
});

test("a request in flight when the drain begins is finished, and its answer says close", async () => {
  const { lifecycle, port, untilWaiting } = await serve();
  const connection = await RawConnection.open(port);
  connection.send("GET /wait HTTP/1.1\r\nhost: test\r\n\r\n");
  const response = await untilWaiting();
  const drained = lifecycle.drain({ quietMilliseconds: 1 });
  expect(lifecycle).toMatchObject({ draining: true, inFlight: 1 });
  response.end("late");
  const answer = await connection.answer();
  expect(answer.body).toBe("late");
  expect(answer.head).toContain("connection: close");
  expect(await drained).toMatchObject({ served: 1, cut: 0 });
});

test("an answer whose head was sent before the drain keeps its connection, whose next answer says close", async () => {
  const { lifecycle, port, untilWaiting } = await serve();
  const connection = await RawConnection.open(port);
  connection.send("GET /wait HTTP/1.1\r\nhost: test\r\n\r\n");
  const response = await untilWaiting();
  response.writeHead(200, { "content-length": "4" });
  response.flushHeaders();
  await connection.until(() => connection.received.includes("\r\n\r\n"));
  const drained = lifecycle.drain({ quietMilliseconds: 1 });
  response.end("four");
  expect((await connection.answer()).head).toContain("connection: keep-alive");
  expect((await connection.request("/")).head).toContain("connection: close");
  expect((await drained).served).toBe(2);
});

test("at the end of the budget idle connections are closed, and a request in flight is still finished", async () => {
  const { lifecycle, port, untilWaiting } = await serve();
  const idle = await RawConnection.open(port);
  await idle.request("/");
  const busy = await RawConnection.open(port);
  busy.send("GET /wait HTTP/1.1\r\nhost: test\r\n\r\n");
  const response = await untilWaiting();
  const drained = lifecycle.drain({ budgetMilliseconds: 50 });
  await idle.untilClosed();
  expect(busy.closed).toBe(false);
  response.end("done");
  expect((await busy.answer()).body).toBe("done");
  expect(await drained).toMatchObject({ idleClosed: 1, cut: 0 });
  await expect(RawConnection.open(port)).rejects.toThrow("ECONNREFUSED");
});

test("a request that outlasts the budget and the time after it is cut and counted", async () => {
  const { lifecycle, port, untilWaiting } = await serve();
  const busy = await RawConnection.open(port);
  busy.send("GET /wait HTTP/1.1\r\nhost: test\r\n\r\n");
  await untilWaiting();
  expect((await lifecycle.drain({ budgetMilliseconds: 10, finishMilliseconds: 10 })).cut).toBe(1);
  await busy.untilClosed();
});

test("a drain begins once: who asks again waits for the same end", async () => {
  const { lifecycle } = await serve();
  const first = lifecycle.drain({ quietMilliseconds: 1 });
  expect(lifecycle.drain()).toBe(first);
  await first;
});

test("stop cuts at once, even in a drain", async () => {
  const { lifecycle, port, untilWaiting } = await serve();
  const busy = await RawConnection.open(port);
  busy.send("GET /wait HTTP/1.1\r\nhost: test\r\n\r\n");
  await untilWaiting();
  const drained = lifecycle.drain();
  lifecycle.stop();
  await busy.untilClosed();
  await drained;
});

test("past its age, a connection is told so on its next answer, and is not cut while idle", async () => {
  const { lifecycle, port } = await serve({ connectionMaxAgeSeconds: 0.1 });
  const connection = await RawConnection.open(port);
  expect((await connection.request("/")).head).toContain("connection: keep-alive");
  await new Promise((resolve) => setTimeout(resolve, 200));
  expect(connection.closed).toBe(false);
  expect(lifecycle.connections).toBe(1);
  const answer = await connection.request("/");
  expect(answer).toMatchObject({ body: "ok" });
  expect(answer.head).toContain("connection: close");
  await connection.untilClosed();
});

test("a request that runs while its connection passes its age is finished, whatever the grace", async () => {
  const { port, untilWaiting } = await serve({
    connectionMaxAgeSeconds: 0.05,
    connectionMaxAgeGraceSeconds: 0.05,
  });
  const connection = await RawConnection.open(port);
  connection.send("GET /wait HTTP/1.1\r\nhost: test\r\n\r\n");
  const response = await untilWaiting();
  await new Promise((resolve) => setTimeout(resolve, 250));
  response.end("long");
  const answer = await connection.answer();
  expect(answer.body).toBe("long");
  expect(answer.head).toContain("connection: close");
});

test("headers that never end are cut off with 408", async () => {
  const { port } = await serve({ headersTimeoutSeconds: 0.2, bodyTimeoutSeconds: 30 });
  const slow = await RawConnection.open(port);
  slow.send("GET / HTTP/1.1\r\nhost: test\r\n");
  const drip = setInterval(() => slow.send("x: y\r\n"), 20);
  await slow.untilClosed();
  clearInterval(drip);
  expect(slow.received).toContain("408 Request Timeout");
});

test("a body that never ends is cut off with 408", async () => {
  const { port } = await serve({ headersTimeoutSeconds: 0.1, bodyTimeoutSeconds: 0.2 });
  const slow = await RawConnection.open(port);
  slow.send("POST / HTTP/1.1\r\nhost: test\r\ncontent-length: 1000000\r\n\r\n");
  const drip = setInterval(() => slow.send("z"), 20);
  await slow.untilClosed();
  clearInterval(drip);
  expect(slow.received).toContain("408 Request Timeout");
});

test("an idle connection is closed no sooner than its Keep-Alive header says", async () => {
  const { port } = await serve({ keepAliveSeconds: 1 });
  const connection = await RawConnection.open(port);
  const began = performance.now();
  expect((await connection.request("/")).head).toContain("keep-alive: timeout=1");
  await connection.untilClosed();
  expect(performance.now() - began).toBeGreaterThan(1000);
});

test("a connection beyond the limit is refused, and those within it go on", async () => {
  const { port } = await serve({ maxConnections: 1 });
  const first = await RawConnection.open(port);
  await first.request("/");
  const second = await RawConnection.open(port);
  await second.untilClosed();
  expect((await first.request("/")).body).toBe("ok");
});

test("a thousand connections opened and dropped leave nothing behind", async () => {
  const { lifecycle, port } = await serve();
  for (let round = 0; round < 10; round++) {
    const connections = await Promise.all(Array.from({ length: 100 }, () => RawConnection.open(port)));
    for (const [index, { socket }] of connections.entries()) {
      // Some without a word, some in the middle of a request, some rudely.
      if (index % 3 === 1) socket.write("POST /wait HTTP/1.1\r\nhost: test\r\ncontent-length: 9\r\n\r\nabc");
      if (index % 3 === 2) socket.resetAndDestroy();
      else socket.destroy();
    }
  }
  await vi.waitFor(() => expect(lifecycle).toMatchObject({ connections: 0, inFlight: 0 }), {
    timeout: 10_000,
  });
  const after = await RawConnection.open(port);
  expect((await after.request("/")).body).toBe("ok");
});
