import { describe, expect, it } from "vitest";
import { eventually } from "../../support/eventually.ts";
import { RawConnection } from "../../support/raw-http.ts";
import { infer, inferBody, outputOf, router, server, type TestRouter } from "./harness.ts";

const KB = 1024;
/** Of one body; three of it may be held. */
const maxRequestBytes = 256 * KB;
const sentBytes = 200 * KB;
const senders = 8;

async function metric({ admin }: TestRouter, name: string): Promise<number> {
  const text = await (await fetch(`${admin}/metrics`)).text();
  return Number(new RegExp(`^${name} (\\d+)`, "m").exec(text)?.[1]);
}

const settings = { generation: "g1", model: "digits", maxRequestBytes, maxHeldBytes: 1 };

async function holdsNoMoreThanItsBound(tested: TestRouter): Promise<void> {
  await eventually("ready", async () => (await tested.report()).ready);
  expect(await metric(tested, "naru_body_bytes_limit")).toBe(3 * maxRequestBytes);
  const connections = await Promise.all(
    Array.from({ length: senders }, () => RawConnection.open(tested.running.ports.http)),
  );
  for (const connection of connections) {
    connection.send(
      `POST /v2/models/digits/infer HTTP/1.1\r\nhost: h\r\ncontent-length: ${maxRequestBytes}\r\n\r\n`,
    );
    connection.socket.write(Buffer.alloc(sentBytes));
  }
  const refused = () => connections.filter(({ received }) => received !== "");
  await eventually("the rest are refused", () => refused().length >= senders - 3);
  expect(refused().length).toBeLessThan(senders);
  for (const connection of refused()) {
    const { head } = await connection.answer();
    expect(head).toContain(" 503 ");
    expect(head).toContain("retry-after: 1");
  }
  expect(await metric(tested, "naru_body_bytes")).toBeLessThanOrEqual(3 * maxRequestBytes);
  expect(await metric(tested, "naru_body_refused_total")).toBeGreaterThan(0);
  for (let n = 0; n < 20; n += 1)
    expect(await outputOf(await infer(tested.url, inferBody(n)))).toEqual([n * 2]);

  for (const { socket } of connections) socket.destroy();
  await eventually("nothing is held", async () => (await metric(tested, "naru_body_bytes")) === 0);
}

describe("many requests that are sent slowly", () => {
  it("are refused beyond the bound where bodies are gathered for a backend, while others are served", async () => {
    const backend = await server();
    await holdsNoMoreThanItsBound(
      await router({
        ...settings,
        stable: { revision: "r1", weightPercent: 100, backend: { http: backend.url } },
      }),
    );
  });

  it("are refused beyond the bound where bodies are parsed for a graph, while others are served", async () => {
    const backend = await server();
    const nodes = [{ name: "digits", backend: { http: backend.url }, model: "digits" }];
    await holdsNoMoreThanItsBound(
      await router({
        ...settings,
        stable: { revision: "r1", weightPercent: 100, graph: { entry: "digits", nodes, edges: [] } },
      }),
    );
  });
});

it("refuses for good a request whose graph would hold more than all that may be held", async () => {
  const backend = await server();
  const branches = Array.from({ length: 6 }, (_, index) => `branch-${index}`);
  const tested = await router({
    ...settings,
    stable: {
      revision: "r1",
      weightPercent: 100,
      graph: {
        entry: "in",
        nodes: [
          { name: "in", combine: "Mean" },
          ...branches.map((name) => ({ name, backend: { http: backend.url }, model: "digits" })),
          { name: "out", combine: "Mean" },
        ],
        edges: branches.flatMap((name) => [
          { from: "in", to: name },
          { from: name, to: "out" },
        ]),
      },
    },
  });
  await eventually("ready", async () => (await tested.report()).ready);
  // 240 KB of JSON, and 160 KB for each branch: together more than 768 KB.
  const answer = await infer(tested.url, inferBody(...new Array<number>(40_000).fill(0.125)));
  expect(answer.status).toBe(413);
  expect(answer.headers.get("naru-error-code")).toBe("RequestHoldsTooMuch");
  expect(await outputOf(await infer(tested.url, inferBody(2)))).toEqual([4]);
  await eventually("nothing is held", async () => (await metric(tested, "naru_body_bytes")) === 0);
});

it("holds nothing of mirrored requests once they are compared or dropped", async () => {
  const backend = await server();
  const track = { weightPercent: 100, backend: { http: backend.url } };
  const tested = await router({
    ...settings,
    stable: { ...track, revision: "r1" },
    canary: { ...track, revision: "r2", weightPercent: 0 },
    mirror: { percent: 100, compare: "Values" },
  });
  for (let n = 0; n < 50; n += 1) expect((await infer(tested.url, inferBody(n))).status).toBe(200);
  // What stable refuses is no sample.
  expect((await infer(tested.url, "{")).status).toBeGreaterThanOrEqual(400);
  await eventually("all are compared", async () => {
    const { tracks } = await tested.report();
    return (tracks[1]?.mirrored ?? 0) === 50;
  });
  expect(await metric(tested, "naru_body_bytes")).toBe(0);
});
