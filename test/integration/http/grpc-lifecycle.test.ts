import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server as NetServer } from "node:net";
import { Client, credentials } from "@grpc/grpc-js";
import { afterEach, expect, test } from "vitest";
import { type HttpConfig, httpConfig } from "../../../lib/config/inference.ts";
import { frameHeaderBytes, sealFrame } from "../../../lib/grpc/frame.ts";
import { createGrpcServer } from "../../../lib/grpc/server.ts";
import { BodyBudget } from "../../../lib/http/body-budget.ts";
import { manageHttp2 } from "../../../lib/http/http2-lifecycle.ts";

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0).reverse()) close();
});

const bytes = (value: Buffer) => value;

/** A server of the stack that carries Naru's gRPC, which echoes after `delay` ms and counts. */
async function serve(overrides: Partial<HttpConfig> = {}, delay = 0) {
  const config = { ...httpConfig.parse({}), ...overrides };
  const counts = { served: 0, faults: 0 };
  const server = createGrpcServer({
    bodies: new BodyBudget(1024 * 1024 * 1024),
    maxMessageBytes: 1000,
    requestTimeoutMilliseconds: 10_000,
    onFault: () => counts.faults++,
    methods: new Map([
      [
        "/test.Echo/Echo",
        {
          async unary(message: Buffer) {
            await new Promise((resolve) => setTimeout(resolve, delay));
            counts.served++;
            return sealFrame(Buffer.concat([Buffer.alloc(frameHeaderBytes), message]));
          },
        },
      ],
    ]),
  });
  const lifecycle = manageHttp2(server, config);
  closers.push(lifecycle.stop);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return { lifecycle, counts, port: (server.address() as AddressInfo).port };
}

/** Stands for a ClusterIP: each new connection goes to the next of the addresses. */
async function clusterAddress(ports: number[]) {
  let next = 0;
  const proxy: NetServer = createServer((socket) => {
    const upstream = connect(ports[next++ % ports.length] ?? 0, "127.0.0.1");
    socket.pipe(upstream).pipe(socket);
    for (const [one, other] of [
      [socket, upstream],
      [upstream, socket],
    ] as const) {
      one.on("error", () => other.destroy());
      one.on("close", () => other.destroy());
    }
  });
  proxy.listen(0, "127.0.0.1");
  await once(proxy, "listening");
  closers.push(() => proxy.close());
  return (proxy.address() as AddressInfo).port;
}

function client(port: number) {
  const made = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
  closers.push(() => made.close());
  return {
    echo: (text: string) =>
      new Promise<string>((resolve, reject) => {
        made.makeUnaryRequest("/test.Echo/Echo", bytes, bytes, Buffer.from(text), (error, value) => {
          if (error) reject(error);
          else resolve(String(value));
        });
      }),
  };
}

test("a scale-up reaches an old gRPC client within the connection age, and no request is lost", async () => {
  const first = await serve({ connectionMaxAgeSeconds: 0.2 }, 1);
  const second = await serve({ connectionMaxAgeSeconds: 0.2 }, 1);
  const ports = [first.port];
  const { echo } = client(await clusterAddress(ports));
  let sent = 0;
  const load = async (until: () => boolean) => {
    while (!until()) expect(await echo(String(sent++))).toMatch(/\d+/);
  };
  const clients = (until: () => boolean) => Promise.all(Array.from({ length: 8 }, () => load(until)));

  await clients(() => first.counts.served > 50);
  ports.push(second.port);
  await clients(() => second.counts.served > 50);
  expect(first.counts.served + second.counts.served).toBe(sent);
});

test("in a drain the open streams end, a late connection is still served, and no request is lost", async () => {
  const leaving = await serve({}, 20);
  const staying = await serve({}, 1);
  const ports = [leaving.port];
  const { echo } = client(await clusterAddress(ports));
  let sent = 0;
  const load = async (until: () => boolean) => {
    while (!until()) await echo(String(sent++));
  };
  const clients = (until: () => boolean) => Promise.all(Array.from({ length: 8 }, () => load(until)));
  await clients(() => leaving.counts.served > 20);

  const before = leaving.counts.served;
  const drained = leaving.lifecycle.drain({ quietMilliseconds: 300 });
  // The endpoint is not withdrawn yet: the client comes back to the server that drains.
  await clients(() => leaving.counts.served > before + 20);
  ports[0] = staying.port;
  await clients(() => staying.counts.served > 20);
  expect(await drained).toMatchObject({ cut: 0 });
  expect(leaving.counts.served + staying.counts.served).toBe(sent);
});
