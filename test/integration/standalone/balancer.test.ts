import { once } from "node:events";
import net from "node:net";
import { text } from "node:stream/consumers";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { TcpBalancer } from "../../../operator/standalone/balancer.ts";
import { isPortFree, PortPool } from "../../../operator/standalone/ports.ts";
import { eventually } from "../../support/eventually.ts";

const ports = new PortPool();
let balancer: TcpBalancer;
let port: number;
const servers: net.Server[] = [];
beforeEach(async () => {
  balancer = new TcpBalancer();
  port = await ports.forPod();
  await balancer.listen(port);
});
afterEach(() => {
  balancer.close();
  for (const server of servers.splice(0)) server.close();
});

/** Answers each chunk with its name and the chunk; ends when its client has ended. */
async function endpoint(name: string): Promise<{ host: string; port: number }> {
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    socket.on("error", () => socket.destroy());
    socket.on("data", (chunk) => socket.write(`${name}:${chunk} `));
    socket.on("end", () => socket.end("bye"));
  });
  servers.push(server);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return { host: "127.0.0.1", port: (server.address() as net.AddressInfo).port };
}

async function say(socket: net.Socket, words: string): Promise<string> {
  socket.write(words);
  const [chunk] = await once(socket, "data");
  return String(chunk);
}

const connect = () => net.connect({ port, host: "127.0.0.1", allowHalfOpen: true });

describe("TcpBalancer", () => {
  test("spreads connections over its endpoints, and a connection stays where it is whatever becomes of them", async () => {
    const [a, b] = [await endpoint("a"), await endpoint("b")];
    balancer.setEndpoints([a, b]);
    const [one, two] = [connect(), connect()];
    const answers = [await say(one, "1"), await say(two, "1")];
    expect(answers.sort()).toEqual(["a:1 ", "b:1 "]);
    balancer.setEndpoints([a]);
    expect((await say(one, "2")) + (await say(two, "2"))).toMatch(/a:2 .*b:2|b:2 .*a:2/);
    balancer.setEndpoints([]);
    expect((await say(one, "3")) + (await say(two, "3"))).toMatch(/a:3 .*b:3|b:3 .*a:3/);
    one.destroy();
    two.destroy();
  });

  test("a half-close reaches the server, and its last words the client", async () => {
    balancer.setEndpoints([await endpoint("a")]);
    const socket = connect();
    socket.end("x");
    expect(await text(socket)).toBe("a:x bye");
  });

  test("passes an endpoint over that refuses, and resets the client where there is none", async () => {
    const dead = { host: "127.0.0.1", port: await ports.forPod() };
    balancer.setEndpoints([dead, await endpoint("a"), dead]);
    for (let i = 0; i < 3; i++) {
      const socket = connect();
      expect(await say(socket, "x")).toBe("a:x ");
      socket.destroy();
    }
    balancer.setEndpoints([]);
    const [error] = await once(connect(), "error");
    expect(error.code).toBe("ECONNRESET");
  });

  test("retired, it takes no more connections and leaves those that exist", async () => {
    balancer.setEndpoints([await endpoint("a")]);
    const socket = connect();
    await say(socket, "1");
    let ended = false;
    const retired = balancer.retire().then(() => {
      ended = true;
    });
    await eventually("port free", () => isPortFree(port));
    expect(await say(socket, "2")).toBe("a:2 ");
    expect(ended).toBe(false);
    socket.destroy();
    await retired;
  });

  test("cuts a connection that was answered and is quiet, and not one that still waits", async () => {
    const silent = net.createServer(() => undefined);
    servers.push(silent);
    silent.listen(0, "127.0.0.1");
    await once(silent, "listening");
    balancer.setEndpoints([await endpoint("a")]);
    const answered = connect();
    await say(answered, "x");
    balancer.setEndpoints([{ host: "127.0.0.1", port: (silent.address() as net.AddressInfo).port }]);
    const waiting = connect();
    await new Promise<void>((resolve) => waiting.write("x", () => resolve()));
    await eventually("cut", () => {
      balancer.closeQuiet(20);
      return answered.readableEnded || answered.destroyed || answered.readyState !== "open";
    });
    balancer.closeQuiet(0);
    expect(waiting.readyState).toBe("open");
    waiting.destroy();
  });
});

test("a clock that jumps makes no connection quiet", async () => {
  const jumping = new TcpBalancer();
  const at = await ports.forPod();
  await jumping.listen(at);
  vi.useFakeTimers({ toFake: ["Date"] });
  try {
    jumping.setEndpoints([await endpoint("a")]);
    const socket = net.connect({ port: at, host: "127.0.0.1" });
    await say(socket, "x");
    vi.setSystemTime(Date.now() + 86_400_000);
    jumping.closeQuiet(3_600_000);
    expect(await say(socket, "y")).toBe("a:y ");
    socket.destroy();
  } finally {
    vi.useRealTimers();
    jumping.close();
  }
});

describe("PortPool", () => {
  test("never hands a port out twice, nor one that somebody listens on", async () => {
    const wanted = await ports.forService(20_100);
    expect(await ports.forService(wanted)).not.toBe(wanted);
    const other = await endpoint("a");
    const pool = new PortPool();
    const given = await pool.forService(20_200);
    pool.release(given);
    const thief = net.createServer().listen(given, "127.0.0.1");
    servers.push(thief);
    await once(thief, "listening");
    expect(await pool.forService(given)).toBeGreaterThan(given);
    expect(await isPortFree(other.port)).toBe(false);
  });
});
