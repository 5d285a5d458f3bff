import { once } from "node:events";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { Server, ServerCredentials } from "@grpc/grpc-js";
import { afterEach, describe, expect, test, vi } from "vitest";
import type { Probe } from "../../../operator/standalone/pod-types.ts";
import { probeOnce, repeatProbe } from "../../../operator/standalone/probes.ts";
import { eventually } from "../../support/eventually.ts";

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

async function httpServer(answer: http.RequestListener): Promise<number> {
  const server = http.createServer(answer).listen(0, "127.0.0.1");
  closers.push(() => {
    server.close();
    server.closeAllConnections();
  });
  await once(server, "listening");
  return (server.address() as AddressInfo).port;
}

/** grpc-js's own server with a health service: SERVING for the service "well", else NOT_SERVING. */
async function grpcServer(): Promise<number> {
  const server = new Server();
  const raw = (value: Buffer) => value;
  server.addService(
    {
      check: {
        path: "/grpc.health.v1.Health/Check",
        requestStream: false,
        responseStream: false,
        requestSerialize: raw,
        requestDeserialize: raw,
        responseSerialize: raw,
        responseDeserialize: raw,
      },
    },
    {
      check: (call: { request: Buffer }, done: (error: null, answer: Buffer) => void) =>
        done(null, Buffer.from([8, call.request.subarray(2).toString() === "well" ? 1 : 2])),
    },
  );
  closers.push(() => server.forceShutdown());
  return new Promise((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, port) =>
      error ? reject(error) : resolve(port),
    );
  });
}

const ask = (probe: Probe, port: number) =>
  probeOnce(probe, (declared) => (declared === "p" ? port : undefined));

describe("a probe", () => {
  test("httpGet is well from 200 to 399, with its path and headers", async () => {
    const seen: string[] = [];
    const port = await httpServer((request, response) => {
      seen.push(`${request.url} ${request.headers["x-a"]}`);
      response.writeHead(Number(request.url?.slice(1))).end();
    });
    const get = (status: number) => ({
      httpGet: { path: `/${status}`, port: "p", httpHeaders: [{ name: "X-A", value: "b" }] },
    });
    expect(await ask(get(204), port)).toBeUndefined();
    expect(await ask(get(302), port)).toBeUndefined();
    expect(await ask(get(503), port)).toContain("503");
    expect(seen).toEqual(["/204 b", "/302 b", "/503 b"]);
  });

  test("fails when nobody answers in time, when nobody listens, and when the port is not the container's", async () => {
    const port = await httpServer(() => undefined);
    expect(await ask({ httpGet: { port: "p" }, timeoutSeconds: 0.05 }, port)).toBe("no answer within 0.05 s");
    expect(await ask({ tcpSocket: { port: "p" } }, 1)).toContain("ECONNREFUSED");
    expect(await ask({ tcpSocket: { port: "q" } }, port)).toContain("no port q");
    expect(await ask({ tcpSocket: { port: "p" } }, port)).toBeUndefined();
  });

  test("grpc asks the health service, by name", async () => {
    const port = await grpcServer();
    expect(await ask({ grpc: { port: "p", service: "well" } }, port)).toBeUndefined();
    expect(await ask({ grpc: { port: "p" } }, port)).toBe("service is not SERVING");
    expect(
      await ask({ grpc: { port: "p" } }, await httpServer((_, response) => response.end())),
    ).toBeDefined();
  });

  test("changes its mind after so many answers in a row, and tells only then", async () => {
    const answers = "x.xx..x...".split("");
    const told: boolean[] = [];
    const stop = new AbortController();
    let asked = 0;
    await repeatProbe({
      probe: { periodSeconds: 0.001, successThreshold: 2, failureThreshold: 2 },
      ask: async () => {
        const answer = answers[asked];
        asked += 1;
        if (answer === undefined) stop.abort();
        return answer === "." ? undefined : "failed";
      },
      signal: stop.signal,
      eager: false,
      onResult: (ok) => told.push(ok),
    });
    // x.xx: two failures in a row; then two successes; the single failure after them is none.
    expect(told).toEqual([false, true]);
  });

  test("asked eagerly it finds a start within a period, and a failure still counts once a period", async () => {
    const told: boolean[] = [];
    const stop = new AbortController();
    closers.push(() => stop.abort());
    let asked = 0;
    const probe = { periodSeconds: 30, failureThreshold: 1 };
    const onResult = (ok: boolean) => told.push(ok);
    void repeatProbe({
      probe,
      ask: async () => (++asked < 4 ? "not yet" : undefined),
      signal: stop.signal,
      eager: true,
      onResult,
    });
    await eventually("started", () => told.length > 0);
    expect(told).toEqual([true]);
    expect(asked).toBe(4);
  });

  test("a clock that is set back while it asks eagerly puts no failure off", async () => {
    vi.useFakeTimers({ toFake: ["Date"] });
    const stop = new AbortController();
    try {
      const told: boolean[] = [];
      const asking = repeatProbe({
        probe: { periodSeconds: 0.3, failureThreshold: 2 },
        ask: async () => {
          vi.setSystemTime(Date.now() - 3_600_000);
          return "not yet";
        },
        signal: stop.signal,
        eager: true,
        onResult: (ok: boolean) => told.push(ok),
      });
      await eventually("told", () => told.length > 0);
      expect(told).toEqual([false]);
      stop.abort();
      await asking;
    } finally {
      stop.abort();
      vi.useRealTimers();
    }
  });
});
