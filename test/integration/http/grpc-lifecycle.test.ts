import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server as NetServer } from "node:net";
import { Client, credentials, Server, ServerCredentials, type ServiceDefinition } from "@grpc/grpc-js";
import { afterEach, expect, test, vi } from "vitest";
import { type HttpConfig, httpConfig } from "../../../lib/config/inference.ts";
import { grpcServerOptions, manageGrpc } from "../../../lib/http/grpc-lifecycle.ts";
import { RawConnection } from "../../support/raw-http.ts";

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0).reverse()) close();
});

const bytes = (value: Buffer) => value;
const service: ServiceDefinition = {
  echo: {
    path: "/test.Echo/Echo",
    requestStream: false,
    responseStream: false,
    requestSerialize: bytes,
    requestDeserialize: bytes,
    responseSerialize: bytes,
    responseDeserialize: bytes,
  },
};

/** A server that echoes after `delay` ms and counts. */
async function serve(overrides: Partial<HttpConfig> = {}, delay = 0) {
  const config = { ...httpConfig.parse({}), ...overrides };
  const counts = { served: 0, inFlight: 0 };
  const server = new Server(grpcServerOptions(config));
  server.addService(service, {
    echo(call: { request: Buffer }, callback: (error: null, value: Buffer) => void) {
      counts.inFlight++;
      setTimeout(() => {
        counts.inFlight--;
        counts.served++;
        callback(null, call.request);
      }, delay);
    },
  });
  const lifecycle = manageGrpc(server, ServerCredentials.createInsecure(), config, () => counts.inFlight);
  closers.push(lifecycle.stop);
  lifecycle.listener.listen(0, "127.0.0.1");
  await once(lifecycle.listener, "listening");
  return { lifecycle, counts, port: (lifecycle.listener.address() as AddressInfo).port };
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

test("a connection that never speaks HTTP/2 is cut off, one that does is not", async () => {
  const { lifecycle, port } = await serve({ headersTimeoutSeconds: 0.1 });
  const { echo } = client(port);
  await echo("speaks");
  const silent = await RawConnection.open(port);
  await silent.untilClosed();
  await vi.waitFor(() => expect(lifecycle.connections).toBe(1));
  await echo("still");
});

test("a request that outlasts the drain is cut and counted", async () => {
  const { lifecycle, counts, port } = await serve({}, 60_000);
  const failed = client(port).echo("slow");
  failed.catch(() => undefined);
  while (counts.inFlight === 0) await new Promise((resolve) => setImmediate(resolve));
  expect(await lifecycle.drain({ budgetMilliseconds: 10, finishMilliseconds: 10 })).toMatchObject({ cut: 1 });
  await expect(failed).rejects.toThrow();
});
