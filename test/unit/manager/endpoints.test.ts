import { once } from "node:events";
import { request } from "node:http";
import { connect, type Socket } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { openEndpoints } from "../../../operator/manager/endpoints.ts";
import { type Check, loopCheck, watched } from "../../../operator/manager/health.ts";
import { managerMetrics } from "../../../operator/manager/metrics.ts";
import { eventually } from "../../support/eventually.ts";
import { MemoryLog } from "../../support/widgets.ts";

const ANY = { host: "127.0.0.1", port: 0 };
let close: () => Promise<void> = async () => undefined;
afterEach(() => close());

async function open(checks: { live?: Check[]; ready?: Check[] } = {}) {
  const log = new MemoryLog();
  const metrics = managerMetrics("1.2.3", "naru-operator", "api.example:6443");
  const endpoints = await openEndpoints({ healthAddress: ANY, metricsAddress: ANY, profilingPort: 0 }, log, {
    live: checks.live ?? [],
    ready: checks.ready ?? [],
    scrape: metrics.scrape,
  });
  close = endpoints.close;
  const port = (endpoint: string): number => {
    const listening = log.lines.map(({ fields }) => fields as { endpoint?: string; port?: number });
    return listening.find((fields) => fields.endpoint === endpoint)?.port ?? 0;
  };
  const get = async (endpoint: string, path: string, method = "GET") => {
    const answer = await fetch(`http://127.0.0.1:${port(endpoint)}${path}`, { method });
    return { status: answer.status, body: await answer.text() };
  };
  return { metrics, log, port, get };
}

describe("health", () => {
  test("is 200 with a line a check, and 503 with the reason once one fails", async () => {
    let idle = 0;
    const { get } = await open({ live: [loopCheck("watches", 60_000, () => idle)] });
    expect(await get("health", "/healthz")).toEqual({ status: 200, body: "[+]watches ok\n" });
    idle = 61_000;
    expect(await get("health", "/healthz")).toEqual({
      status: 503,
      body: "[-]watches failed: nothing has happened for 61 s\n",
    });
    expect((await get("health", "/livez")).status).toBe(503);
    expect((await get("health", "/readyz")).status).toBe(200);
  });

  test("fails for a reconcile that does not end", () => {
    const { engine } = managerMetrics("1.2.3", "naru-operator", "api.example:6443");
    const { metrics, check } = watched(engine);
    let longest = 0;
    metrics.controller("modelserving", 8, () => ({ sum: longest, longest }));
    expect(check.problem()).toBeUndefined();
    longest = 901;
    expect(check.problem()).toBe("one of modelserving has run for 901 s");
  });

  test("answers nothing but GET and HEAD of its own paths", async () => {
    const { get } = await open();
    expect((await get("health", "/healthz", "HEAD")).status).toBe(200);
    expect((await get("health", "/healthz", "POST")).status).toBe(405);
    expect((await get("health", "/metrics")).status).toBe(404);
    expect((await get("health", "/constructor")).status).toBe(404);
    expect((await get("metrics", "/healthz")).status).toBe(404);
  });

  test("is not taken down by a target that is no URL", async () => {
    const { port, get } = await open();
    for (const path of ["//", "/%", "*"]) {
      const status = await new Promise((resolve, reject) => {
        request({ host: "127.0.0.1", port: port("health"), path }, (answer) => {
          answer.resume();
          resolve(answer.statusCode);
        })
          .on("error", reject)
          .end();
      });
      expect(status).toBe(404);
    }
    expect((await get("health", "/healthz")).status).toBe(200);
  });
});

test("metrics have the names of controller-runtime and client-go", async () => {
  const { metrics, get } = await open();
  metrics.leads(true);
  metrics.answered("GET", 200);
  metrics.answered("PATCH", 0);
  const { body } = await get("metrics", "/metrics");
  expect(body).toContain('leader_election_master_status{name="naru-operator"} 1');
  expect(body).toContain('rest_client_requests_total{code="200",method="GET",host="api.example:6443"} 1');
  expect(body).toContain(
    'rest_client_requests_total{code="<error>",method="PATCH",host="api.example:6443"} 1',
  );
  expect(body).toContain('naru_build_info{version="1.2.3"} 1');
  expect(body).toContain("process_resident_memory_bytes");
});

describe("profiling", () => {
  test("gives a CPU profile and a heap snapshot, one at a time", async () => {
    const { get } = await open();
    const profiling = get("profiling", "/debug/cpu?seconds=0.2");
    expect((await get("profiling", "/debug/heap")).status).toBe(409);
    const profile = JSON.parse((await profiling).body);
    expect(profile.nodes.length).toBeGreaterThan(0);
    const heap = await get("profiling", "/debug/heap");
    expect(JSON.parse(heap.body).snapshot.meta).toBeDefined();
  });

  // All of 127.0.0.0/8 is this machine on Linux: a server of every address would answer there.
  test.skipIf(process.platform !== "linux")("is answered on the loopback address alone", async () => {
    const { port } = await open();
    await expect(fetch(`http://127.0.0.2:${port("profiling")}/debug/heap`)).rejects.toThrow();
  });

  test("refuses a length that it would not end with", async () => {
    const { get } = await open();
    for (const seconds of ["0", "61", "x"]) {
      expect((await get("profiling", `/debug/cpu?seconds=${seconds}`)).status).toBe(400);
    }
  });
});

test("connections are bounded: those beyond are closed, and those within go on", async () => {
  const { port } = await open();
  const connections = Array.from({ length: 80 }, () => connect(port("health"), "127.0.0.1"));
  const left = (): Socket[] => connections.filter((connection) => !connection.closed);
  for (const connection of connections) connection.on("error", () => undefined).resume();
  await eventually("the bound", () => left().length === 64);
  const [one] = left();
  if (one === undefined) throw new Error("no connection is left");
  one.write("GET /healthz HTTP/1.1\r\nhost: h\r\n\r\n");
  const [answer] = await once(one, "data");
  expect(String(answer)).toMatch(/^HTTP\/1.1 200 /);
  for (const connection of connections) connection.destroy();
});

test("an address that is taken is said to be", async () => {
  const { port } = await open();
  const first = close;
  const address = { host: "127.0.0.1", port: port("health") };
  const taken = openEndpoints(
    { healthAddress: address, metricsAddress: undefined, profilingPort: undefined },
    new MemoryLog(),
    { live: [], ready: [], scrape: () => undefined },
  );
  await expect(taken).rejects.toMatchObject({ code: "AddressUnusable" });
  close = first;
});
