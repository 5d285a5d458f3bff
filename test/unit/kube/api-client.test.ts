import { afterEach, describe, expect, test } from "vitest";
import { type ApiClient, openApiClient } from "../../../operator/kube/api-client.ts";
import { ApiError } from "../../../operator/kube/api-error.ts";
import type { Connection } from "../../../operator/kube/connection.ts";
import { jsonLines } from "../../../operator/kube/json-lines.ts";
import { eventually } from "../../support/eventually.ts";
import { type Answerer, json, lines, refusal, startScriptedApi } from "../../support/scripted-api.ts";

describe("the API server's client", () => {
  const ends: (() => Promise<unknown>)[] = [];
  afterEach(async () => {
    for (const end of ends.splice(0).reverse()) await end();
  });

  const against = async (
    answer: Answerer,
    connectionOf: (connection: Connection) => Connection = (connection) => connection,
  ): Promise<{ client: ApiClient; asked: Awaited<ReturnType<typeof startScriptedApi>>["asked"] }> => {
    const api = await startScriptedApi(answer);
    ends.push(() => api.stop());
    const client = openApiClient(connectionOf(api.connection));
    ends.push(() => client.close());
    return { client, asked: api.asked };
  };
  const thrownBy = async (run: Promise<unknown>): Promise<ApiError> => {
    const thrown = await run.then(
      () => undefined,
      (error: unknown) => error,
    );
    if (!(thrown instanceof ApiError)) throw new Error(`no ApiError: ${String(thrown)}`);
    return thrown;
  };

  for (const [status, reason, code] of [
    [400, "BadRequest", "Invalid"],
    [401, "Unauthorized", "Unavailable"],
    [403, "Forbidden", "Forbidden"],
    [404, "NotFound", "NotFound"],
    [409, "AlreadyExists", "Conflict"],
    [410, "Expired", "Unavailable"],
    [413, "RequestEntityTooLarge", "Invalid"],
    [422, "Invalid", "Invalid"],
    [429, "TooManyRequests", "Unavailable"],
    [500, "InternalError", "Unavailable"],
    [504, "Timeout", "Unavailable"],
  ] as const) {
    test(`${status} is ${code}, and keeps what the server said`, async () => {
      const { client } = await against((_, response) => refusal(response, status, reason));
      const thrown = await thrownBy(client.request("GET", "/api/v1/pods"));
      expect(thrown).toMatchObject({ code, status, reason, expired: status === 410 });
      expect(thrown.message).toContain(`GET /api/v1/pods: ${status} refused: ${reason}`);
    });
  }

  test("an answer that a proxy wrote is an error with the beginning of its text", async () => {
    const { client } = await against((_, response) => response.writeHead(502).end("<html>".repeat(1000)));
    const thrown = await thrownBy(client.request("GET", "/api/v1/pods"));
    expect(thrown.code).toBe("Unavailable");
    expect(thrown.message.length).toBeLessThan(1100);
  });

  test("nobody there, an answer cut short and one that is no JSON are Unavailable", async () => {
    const { client } = await against(({ path }, response) => {
      if (path === "/cut")
        response.writeHead(200, { "content-length": "100" }).write("{", () => response.destroy());
      else if (path === "/text") response.end("pods");
      else response.destroy();
    });
    for (const path of ["/closed", "/cut", "/text"]) {
      expect(await thrownBy(client.request("GET", path))).toMatchObject({ code: "Unavailable", status: 0 });
    }
  });

  test("what the server asks to send later is sent again, a bounded number of times", async () => {
    const { client, asked } = await against((_, response) =>
      response.writeHead(429, { "retry-after": "1" }).end(),
    );
    const from = performance.now();
    const thrown = await thrownBy(client.request("GET", "/", { retries: 1 }));
    expect(performance.now() - from).toBeGreaterThanOrEqual(1000);
    expect(thrown.retryAfter).toBe(1000);
    expect(asked).toHaveLength(2);
  });

  test("a failure, and a time that is too long to wait for, are left to who asked", async () => {
    const { client, asked } = await against(({ path }, response) => {
      response
        .writeHead(path === "/busy" ? 503 : 500, { "retry-after": path === "/busy" ? "60" : "1" })
        .end();
    });
    expect((await thrownBy(client.request("PATCH", "/failed"))).code).toBe("Unavailable");
    expect((await thrownBy(client.request("PATCH", "/busy"))).retryAfter).toBe(60_000);
    expect(asked).toHaveLength(2);
  });

  test("the gate is asked before each attempt, and what it throws is thrown as it is", async () => {
    const { client, asked } = await against((_, response) =>
      response.writeHead(429, { "retry-after": "1" }).end(),
    );
    const closed = new Error("closed");
    let open = 1;
    const gate = () => {
      if (open-- === 0) throw closed;
    };
    await expect(client.request("PATCH", "/", { gate })).rejects.toBe(closed);
    expect(asked).toHaveLength(1);
  });

  test("a request that waited for a connection is not sent when the gate has closed meanwhile", async () => {
    const answers: (() => void)[] = [];
    const api = await startScriptedApi((_, response) => answers.push(() => json(response, { sent: true })));
    ends.push(() => api.stop());
    const told: number[] = [];
    const onAnswer = (_: string, status: number) => told.push(status);
    const client = openApiClient(api.connection, { connections: 1, onAnswer });
    ends.push(() => client.close());
    let open = true;
    const gate = () => {
      if (!open) throw closed;
    };
    const closed = new Error("closed");
    const first = client.request("PATCH", "/first", { gate, body: {} });
    await eventually("the first is under way", () => answers.length === 1);
    const second = client.request("PATCH", "/second", { gate, body: {} });
    const refused = expect(second).rejects.toBe(closed);
    // Its credentials are at hand by then, and it waits.
    await new Promise((resolve) => setImmediate(resolve));
    open = false;
    answers[0]?.();
    expect(await first).toEqual({ sent: true });
    await refused;
    expect(api.asked.map(({ path }) => path)).toEqual(["/first"]);
    expect(told).toEqual([200]);
    // The connection is as good as before.
    open = true;
    const third = client.request("PATCH", "/third", { gate, body: {} });
    await eventually("the third is under way", () => answers.length === 2);
    answers[1]?.();
    expect(await third).toEqual({ sent: true });
  });

  test("a refused token is read anew once, not again and again", async () => {
    const renewals: (boolean | undefined)[] = [];
    let token = "old";
    const { client, asked } = await against(
      ({ headers }, response) =>
        headers.authorization === "Bearer new" ? json(response, {}) : refusal(response, 401, "Unauthorized"),
      (connection) => ({
        ...connection,
        credentials: async ({ renew } = {}) => {
          renewals.push(renew);
          return {
            tls: (await connection.credentials()).tls,
            headers: { authorization: `Bearer ${renew === true ? token : "old"}` },
          };
        },
      }),
    );
    expect((await thrownBy(client.request("GET", "/"))).status).toBe(401);
    expect(asked).toHaveLength(2);
    token = "new";
    expect(await client.request("GET", "/")).toEqual({});
    expect(renewals).toEqual([undefined, true, undefined, true]);
  });

  test("a request that is called off ends with the reason that was given", async () => {
    const { client, asked } = await against(() => undefined);
    const off = new AbortController();
    const reason = new Error("called off");
    const asking = client.request("GET", "/", { signal: off.signal });
    const reading = (async () => {
      for await (const line of client.stream("/", { signal: off.signal, silence: 60_000 })) void line;
    })();
    await eventually("both asked", () => asked.length === 2);
    off.abort(reason);
    await expect(asking).rejects.toBe(reason);
    await expect(reading).rejects.toBe(reason);
  });

  test("a wait for a busy server is called off with that reason too", async () => {
    const { client, asked } = await against((_, response) =>
      response.writeHead(429, { "retry-after": "5" }).end(),
    );
    const off = new AbortController();
    const asking = client.request("GET", "/", { signal: off.signal });
    await eventually("the first attempt", () => asked.length === 1);
    const reason = new Error("called off");
    off.abort(reason);
    await expect(asking).rejects.toBe(reason);
  });

  test("a stream gives each line as it comes, and ends when the server ends it", async () => {
    const { client } = await against((_, response) => lines(response, [{ n: 1 }, { n: "ä\n" }], true));
    const seen: unknown[] = [];
    for await (const line of client.stream("/", { silence: 60_000 })) seen.push(line);
    expect(seen).toEqual([{ n: 1 }, { n: "ä\n" }]);
  });

  test("whoever stops reading a stream ends its request", async () => {
    let closed = false;
    const { client } = await against((_, response) => {
      response.on("close", () => {
        closed = true;
      });
      lines(response, [{ n: 1 }]);
    });
    for await (const line of client.stream("/", { silence: 60_000 })) {
      expect(line).toEqual({ n: 1 });
      break;
    }
    await eventually("the request ended", () => closed);
  });

  test("watches take no connection from requests", async () => {
    const { client } = await against(({ query }, response) => {
      if (query.has("watch")) lines(response, [{ n: 1 }]);
      else json(response, {});
    });
    const off = new AbortController();
    const streams = Array.from({ length: 50 }, () =>
      client.stream("/", { query: { watch: true }, signal: off.signal, silence: 60_000 }),
    );
    await Promise.all(streams.map((stream) => stream.next()));
    expect(await client.request("GET", "/")).toEqual({});
    off.abort(new Error("over"));
    await Promise.all(streams.map((stream) => stream.next().catch(() => undefined)));
  });
});

describe("lines of JSON", () => {
  async function* inPieces(text: string, size: number): AsyncGenerator<Uint8Array> {
    const bytes = Buffer.from(text);
    for (let from = 0; from < bytes.length; from += size) yield bytes.subarray(from, from + size);
  }
  const read = async (text: string, size: number, longest?: number) => {
    const seen: unknown[] = [];
    for await (const line of jsonLines(inPieces(text, size), longest)) seen.push(line);
    return seen;
  };

  test("are the same however the bytes are cut, characters included", async () => {
    const text = '{"a":"ä€😀"}\n\n{"b":2}\r\n{"c":3}\n';
    for (let size = 1; size <= text.length; size += 1) {
      expect(await read(text, size)).toEqual([{ a: "ä€😀" }, { b: 2 }, { c: 3 }]);
    }
  });

  test("end with the last whole one", async () => {
    expect(await read('{"a":1}\n{"b":', 3)).toEqual([{ a: 1 }]);
  });

  test("are refused beyond a bound, before they are whole", async () => {
    await expect(read(`{"a":"${"x".repeat(100)}`, 10, 50)).rejects.toThrow(RangeError);
    expect(await read(`{"a":"${"x".repeat(20)}"}\n`.repeat(10), 10, 50)).toHaveLength(10);
  });
});
