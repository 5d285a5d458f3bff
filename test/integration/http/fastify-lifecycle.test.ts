import type { AddressInfo } from "node:net";
import Fastify from "fastify";
import { expect, test } from "vitest";
import { httpConfig } from "../../../lib/config/inference.ts";
import { manageHttp1 } from "../../../lib/http/http1-lifecycle.ts";
import { fastifyServerOptions } from "../../../lib/http/server-options.ts";
import { RawConnection } from "../../support/raw-http.ts";

test("fastify's own server keeps the rules: time-outs set, no request lost in a drain, closed after it", async () => {
  const config = { ...httpConfig.parse({}), headersTimeoutSeconds: 0.2, bodyTimeoutSeconds: 0.2 };
  const app = Fastify(fastifyServerOptions(config));
  app.post("/", async () => "ok");
  app.get("/", async () => "ok");
  const lifecycle = manageHttp1(app.server, config);
  await app.listen({ port: 0, host: "127.0.0.1" });
  const { port } = app.server.address() as AddressInfo;
  expect(app.server.keepAliveTimeout).toBe(75_000);

  const slow = await RawConnection.open(port);
  slow.send("POST / HTTP/1.1\r\nhost: test\r\ncontent-type: text/plain\r\ncontent-length: 9\r\n\r\nabc");
  await slow.untilClosed();
  expect(slow.received).toContain("408");

  const idle = await RawConnection.open(port);
  await idle.request("/");
  const drained = lifecycle.drain({ quietMilliseconds: 1 });
  const answer = await idle.request("/");
  expect(answer.head).toMatch(/^http\/1.1 200/);
  expect(answer.head).toContain("connection: close");
  expect(await drained).toMatchObject({ served: 1, cut: 0 });
  await app.close();
});
