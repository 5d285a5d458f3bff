import { readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { eventually } from "../../support/eventually.ts";
import { startLoad } from "../../zero-loss/load.ts";
import { folder, infer, inferBody, router, server } from "./harness.ts";

const track = (revision: string, url: string, weightPercent: number) => ({
  revision,
  weightPercent,
  backend: { http: url },
});
const config = (generation: string, url: string, extra: Record<string, unknown> = {}) => ({
  generation,
  model: "digits",
  stable: track("r1", url, 100),
  ...extra,
});

async function replace(path: string, content: unknown): Promise<void> {
  await writeFile(`${path}.new`, JSON.stringify(content));
  await rename(`${path}.new`, path);
}

describe("a pushed configuration", () => {
  it("reaches a new stable revision by new connections, since old ones lead to pods of the old revision that still drain", async () => {
    const old = await server();
    let connections = 0;
    old.server.on("connection", () => {
      connections += 1;
    });
    const { url, push } = await router(config("g1", old.url));
    await infer(url);
    await push(config("g2", old.url, { requestTimeoutMilliseconds: 20_000 }));
    await infer(url);
    const before = connections;
    await push({ ...config("g3", old.url), stable: track("r2", old.url, 100) });
    await infer(url);
    expect(old.seen).toHaveLength(3);
    expect([before, connections]).toEqual([1, 2]);
  });

  it("replaces the one in force as a whole, its counters begin at nought, and a repetition changes nothing", async () => {
    const [a, b] = [await server(), await server()];
    const { url, push, report } = await router(config("g1", a.url));
    await infer(url);
    const pushed = await push(config("g2", b.url));
    expect(pushed.status).toBe(200);
    expect(pushed.body).toMatchObject({ generation: "g2", tracks: [{ requests: 0 }] });
    await infer(url);
    expect(b.seen).toHaveLength(1);
    expect((await push(config("g2", a.url))).status).toBe(200);
    await infer(url);
    expect(b.seen).toHaveLength(2);
    expect(await report()).toMatchObject({ generation: "g2", tracks: [{ requests: 2 }] });
  });

  it.each([
    ["is not the schema's", (url: string) => ({ ...config("g2", url), weight: 5 }), "InvalidConfig"],
    [
      "has weights that don't sum to 100",
      (url: string) => config("g2", url, { canary: track("r2", url, 5) }),
      "InvalidConfig",
    ],
    [
      "has a graph with a cycle",
      () => ({
        generation: "g2",
        model: "digits",
        stable: {
          revision: "r1",
          weightPercent: 100,
          graph: {
            entry: "a",
            nodes: [
              { name: "a", combine: "Mean" },
              { name: "b", combine: "Mean" },
              { name: "c", combine: "Mean" },
            ],
            edges: [
              { from: "a", to: "b" },
              { from: "b", to: "c" },
              { from: "c", to: "b" },
            ],
          },
        },
      }),
      "InvalidGraph",
    ],
  ])("that %s is answered 400, and the old one stays", async (_, broken, code) => {
    const backend = await server();
    const { url, push, report } = await router(config("g1", backend.url));
    expect(await push(broken(backend.url))).toMatchObject({ status: 400, code });
    expect((await infer(url)).status).toBe(200);
    expect(await report()).toMatchObject({ generation: "g1", ready: true, problem: { code } });
    expect((await push("not an object")).status).toBe(400);
    expect((await push(config("g1", backend.url))).body.problem).toBeUndefined();
  });

  it("counts a request that began under the former generation there, and not under the new one", async () => {
    let release = (): void => undefined;
    const backend = await server({
      intercept: (request, response) => {
        if (request.headers["x-slow"] === undefined) return false;
        release = () => response.writeHead(500).end();
        return true;
      },
    });
    const { url, push, report } = await router(config("g1", backend.url));
    const slow = infer(url, inferBody(1), { "x-slow": "1" });
    await eventually("the backend has it", () => backend.open() === 1);
    await push(config("g2", backend.url));
    release();
    expect((await slow).status).toBe(500);
    expect(await report()).toMatchObject({
      generation: "g2",
      inFlight: 0,
      tracks: [{ requests: 0, errors: 0 }],
    });
  });

  it("changes the keep-alive of connections, as the ingress profile asks", async () => {
    const backend = await server();
    const { url, push } = await router(config("g1", backend.url, { http: { keepAliveSeconds: 61 } }));
    expect((await infer(url)).headers.get("keep-alive")).toBe("timeout=61");
    await push(config("g2", backend.url, { http: { keepAliveSeconds: 601 } }));
    expect((await infer(url)).headers.get("keep-alive")).toBe("timeout=601");
  });

  it("loses no request under load, whatever it changes", async () => {
    const [a, b] = [await server(), await server()];
    const { url, push, report } = await router(config("g0", a.url));
    const load = startLoad({
      url,
      clients: 8,
      keepAlive: true,
      shot: () => ({
        path: "/v2/models/digits/infer",
        body: inferBody(1, 2),
        headers: { "content-type": "application/json" },
        wrong: (body) => (body.includes("[2,4]") ? undefined : "wrong"),
      }),
    });
    for (let n = 1; n <= 40; n += 1) {
      const [one, other] = n % 2 === 0 ? [a, b] : [b, a];
      const weight = (n * 7) % 101;
      const pushed = await push({
        generation: `g${n}`,
        model: "digits",
        stable: track("r1", one.url, 100 - weight),
        canary: track("r2", other.url, weight),
      });
      expect(pushed.status).toBe(200);
    }
    await eventually("some load after the last push", () => load.sent() > 400);
    const { lost, sent, answered } = await load.finish();
    expect(lost).toEqual([]);
    expect(answered).toBe(sent);
    expect((await report()).generation).toBe("g40");
  });
});

describe("the mounted file", () => {
  it("is followed when it changes, and one that is broken leaves the old one in force and is told", async () => {
    const backend = await server();
    const { url, configDir, report } = await router(config("g1", backend.url));
    const path = join(configDir, "router.json");
    await replace(path, config("g2", backend.url));
    await eventually("the file's next generation", async () => (await report()).generation === "g2");
    await replace(path, { generation: "g3" });
    await eventually("a problem", async () => (await report()).problem?.code === "InvalidConfig");
    expect((await infer(url)).status).toBe(200);
    await replace(path, config("g4", backend.url));
    await eventually("the problem is gone", async () => (await report()).problem === undefined);
    expect((await report()).generation).toBe("g4");
  });

  it("does not take a router back behind what was pushed, not even over a restart of its container", async () => {
    const backend = await server();
    const stateDir = await folder("naru-state-");
    const first = await router(config("g1", backend.url), { stateDir });
    await first.push(config("g2", backend.url));
    await first.push(config("g3", backend.url));
    await replace(join(first.configDir, "router.json"), config("g2", backend.url, { sequence: 1 }));
    await replace(join(first.configDir, "other"), {});
    await eventually("the pushes are kept", async () =>
      (await readFile(join(stateDir, "router.json"), "utf8")).includes('"g3"'),
    );
    expect((await first.report()).generation).toBe("g3");
    first.running.stop();
    const second = await router(undefined, { stateDir, configDir: first.configDir });
    expect((await second.report()).generation).toBe("g3");
    await replace(join(first.configDir, "router.json"), config("g4", backend.url, { sequence: 1000 }));
    await eventually("a newer file", async () => (await second.report()).generation === "g4");
  });

  it("makes a router ready that started without one", async () => {
    const backend = await server();
    const { configDir, admin, report } = await router(undefined);
    expect((await fetch(`${admin}/readyz`)).status).toBe(503);
    await replace(join(configDir, "router.json"), config("g1", backend.url));
    await eventually("ready", async () => (await fetch(`${admin}/readyz`)).status === 200);
    expect((await report()).problem).toBeUndefined();
  });
});
