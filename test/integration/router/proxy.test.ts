import { request as httpRequest } from "node:http";
import { connect } from "node:net";
import { gunzipSync, gzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { eventually } from "../../support/eventually.ts";
import { RawConnection } from "../../support/raw-http.ts";
import { infer, inferBody, outputOf, router, server } from "./harness.ts";

const stable = (url: string, weightPercent = 100) => ({
  revision: "r1",
  weightPercent,
  backend: { http: url },
});
const canary = (url: string, weightPercent: number) => ({
  revision: "r2",
  weightPercent,
  backend: { http: url },
});

describe("passing requests on", () => {
  it("answers what the backend answers, with the revision's name and the request's id", async () => {
    const backend = await server();
    const { url, report } = await router({ generation: "g1", model: "digits", stable: stable(backend.url) });
    const answer = await infer(url, inferBody(1, 2), { "x-request-id": "abc-1" });
    expect(answer.status).toBe(200);
    expect(answer.headers.get("naru-revision")).toBe("r1");
    expect(answer.headers.get("x-request-id")).toBe("abc-1");
    expect(await outputOf(answer)).toEqual([2, 4]);
    expect(backend.seen[0]?.headers["x-request-id"]).toBe("abc-1");
    expect(Number(backend.seen[0]?.headers["x-request-timeout-ms"])).toBeLessThanOrEqual(30_000);
    expect(await report()).toMatchObject({
      ready: true,
      generation: "g1",
      tracks: [{ requests: 1, errors: 0 }],
    });
  });

  it("splits by weight exactly, and counts each revision apart", async () => {
    const [a, b] = [await server(), await server()];
    const { url, report } = await router({
      generation: "g1",
      model: "digits",
      stable: stable(a.url, 90),
      canary: canary(b.url, 10),
    });
    const revisions: (string | null)[] = [];
    for (let n = 0; n < 100; n += 1) revisions.push((await infer(url)).headers.get("naru-revision"));
    expect(revisions.filter((revision) => revision === "r2")).toHaveLength(10);
    const { tracks } = await report();
    expect(tracks.map(({ revision, requests }) => [revision, requests])).toEqual([
      ["r1", 90],
      ["r2", 10],
    ]);
    expect(tracks[1]?.latencyCounts.reduce((sum, count) => sum + count, 0)).toBe(10);
  });

  it("leaves encodings alone, drops hop-by-hop headers and adds the client's address", async () => {
    const backend = await server({
      intercept: (_request, response, body) => {
        response.writeHead(200, {
          "content-encoding": "gzip",
          "x-kept": ["1", "2"],
          connection: "x-secret-hop, keep-alive",
          "x-secret-hop": "1",
        });
        response.end(gzipSync(gunzipSync(body)));
        return true;
      },
    });
    const { url } = await router({ generation: "g1", model: "digits", stable: stable(backend.url) });
    const zipped = gzipSync("a payload");
    const { headers, body } = await new Promise<{ headers: Record<string, unknown>; body: Buffer }>(
      (resolve, reject) => {
        const outgoing = httpRequest(
          `${url}/v2/models/digits/infer`,
          {
            method: "POST",
            headers: {
              "content-encoding": "gzip",
              "content-length": zipped.length,
              connection: "keep-alive, X-Own-Hop",
              "x-own-hop": "1",
              te: "trailers",
              "x-kept": "yes",
              "x-forwarded-for": "10.0.0.9",
            },
          },
          (incoming) => {
            const chunks: Buffer[] = [];
            incoming.on("data", (chunk: Buffer) => chunks.push(chunk));
            incoming.on("end", () => resolve({ headers: incoming.headers, body: Buffer.concat(chunks) }));
          },
        );
        outgoing.on("error", reject);
        outgoing.end(zipped);
      },
    );
    expect(gunzipSync(body).toString()).toBe("a payload");
    expect(headers).toMatchObject({ "content-encoding": "gzip", "x-kept": "1, 2" });
    expect(headers).not.toHaveProperty("x-secret-hop");
    const seen = backend.seen[0]?.headers;
    expect(seen).toMatchObject({
      "content-encoding": "gzip",
      "x-kept": "yes",
      "x-forwarded-for": "10.0.0.9, 127.0.0.1",
    });
    expect(seen).not.toHaveProperty("x-own-hop");
    expect(seen).not.toHaveProperty("te");
  });

  it("takes a whole address as a target, and passes its path on, its host in Host's place", async () => {
    const backend = await server();
    const { url } = await router({ generation: "g1", model: "digits", stable: stable(backend.url) });
    const connection = await RawConnection.open(Number(new URL(url).port));
    const body = inferBody(1, 2);
    connection.send(
      `POST http://digits.example/v2/models/digits/infer HTTP/1.1\r\nhost: other\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
    );
    expect((await connection.answer()).head).toContain("200");
    expect(backend.seen[0]?.url).toBe("/v2/models/digits/infer");
    expect(backend.seen[0]?.headers.host).toBe("digits.example");
    connection.send("GET http://digits.example/v2/health/live HTTP/1.1\r\nhost: other\r\n\r\n");
    expect((await connection.answer()).head).toContain("200");
    connection.socket.destroy();
  });

  it("passes a large body and a chunked one on as they come, unchanged", async () => {
    const backend = await server({
      intercept: (_request, response, body) => {
        response.end(body);
        return true;
      },
    });
    const { url } = await router({ generation: "g1", model: "digits", stable: stable(backend.url) });
    const large = Buffer.alloc(5_000_000, "abcdefg");
    const echoed = await fetch(`${url}/anything?x=1`, { method: "POST", body: large });
    expect(Buffer.from(await echoed.arrayBuffer()).equals(large)).toBe(true);
    const chunked = await fetch(`${url}/anything`, {
      method: "POST",
      body: new Blob([large]).stream(),
      duplex: "half",
    } as RequestInit);
    expect(Buffer.from(await chunked.arrayBuffer()).equals(large)).toBe(true);
    expect(backend.seen[1]?.headers["transfer-encoding"]).toBe("chunked");
  });

  it("passes a stream's first piece on before its last is there", async () => {
    let finish = (): void => undefined;
    const backend = await server({
      intercept: (_request, response) => {
        response.writeHead(200, { "content-type": "text/event-stream" });
        response.write("data: 1\n\n");
        finish = () => response.end("data: 2\n\n");
        return true;
      },
    });
    const { url } = await router({ generation: "g1", model: "digits", stable: stable(backend.url) });
    const answer = await fetch(`${url}/v1/chat/completions`, { method: "POST", body: "{}" });
    const reader = (answer.body as ReadableStream<Uint8Array>).getReader();
    expect(Buffer.from((await reader.read()).value ?? []).toString()).toBe("data: 1\n\n");
    finish();
    expect(Buffer.from((await reader.read()).value ?? []).toString()).toBe("data: 2\n\n");
    expect((await reader.read()).done).toBe(true);
  });

  it("refuses a body beyond the bound with 413, announced or not, and goes on serving", async () => {
    const backend = await server();
    const { url, report } = await router({
      generation: "g1",
      model: "digits",
      stable: stable(backend.url),
      maxRequestBytes: 300_000,
    });
    const large = Buffer.alloc(400_000);
    expect((await fetch(`${url}/v2/models/digits/infer`, { method: "POST", body: large })).status).toBe(413);
    const chunked = await fetch(`${url}/v2/models/digits/infer`, {
      method: "POST",
      body: new Blob([large]).stream(),
      duplex: "half",
    } as RequestInit);
    expect(chunked.status).toBe(413);
    expect((await infer(url)).status).toBe(200);
    expect((await report()).tracks[0]).toMatchObject({ requests: 3, errors: 0 });
  });
});

describe("what goes wrong", () => {
  it("is counted as an error when the backend answers 5xx, and not when it answers 4xx", async () => {
    const backend = await server({
      intercept: (request, response) => {
        response.writeHead(Number(request.headers["x-want"]));
        response.end();
        return true;
      },
    });
    const { url, report } = await router({ generation: "g1", model: "digits", stable: stable(backend.url) });
    for (const status of ["400", "404", "429", "500", "503"]) {
      expect((await infer(url, inferBody(1), { "x-want": status })).status).toBe(Number(status));
    }
    expect((await report()).tracks[0]).toMatchObject({ requests: 5, errors: 2 });
  });

  it("is a 504 when the deadline passes, the backend's work cancelled", async () => {
    const backend = await server({ intercept: () => true });
    const { url, report } = await router({
      generation: "g1",
      model: "digits",
      stable: stable(backend.url),
      requestTimeoutMilliseconds: 60,
    });
    const answer = await infer(url);
    expect(answer.status).toBe(504);
    expect(await answer.json()).toEqual({ error: expect.stringContaining("deadline") });
    await eventually("the backend's connection is closed", () => backend.open() === 0);
    expect((await report()).tracks[0]).toMatchObject({ requests: 1, errors: 1 });
    expect((await infer(url, inferBody(1), { "x-request-timeout-ms": "20" })).status).toBe(504);
  });

  it("is no error when the client leaves: the backend hears of it and nothing is held against the revision", async () => {
    const backend = await server({ intercept: () => true });
    const { url, report } = await router({ generation: "g1", model: "digits", stable: stable(backend.url) });
    const controller = new AbortController();
    const pending = fetch(`${url}/v2/models/digits/infer`, {
      method: "POST",
      body: inferBody(1),
      signal: controller.signal,
    });
    await eventually("the backend has the request", () => backend.open() === 1);
    controller.abort();
    await expect(pending).rejects.toThrow();
    await eventually("the backend's connection is closed", () => backend.open() === 0);
    expect(await report()).toMatchObject({ inFlight: 0, tracks: [{ requests: 1, errors: 0 }] });
  });

  it("cuts the client's connection when the backend breaks off in the middle of an answer", async () => {
    const backend = await server({
      intercept: (request, response) => {
        response.writeHead(200, { "content-length": "1000" });
        response.write("half");
        setImmediate(() => request.socket.destroy());
        return true;
      },
    });
    const { url, report } = await router({ generation: "g1", model: "digits", stable: stable(backend.url) });
    await expect(infer(url).then((answer) => answer.text())).rejects.toThrow();
    expect((await report()).tracks[0]).toMatchObject({ requests: 1, errors: 1 });
  });

  it("is a 503 that may be tried again when nothing listens at the backend", async () => {
    const backend = await server();
    backend.close();
    const { url, report } = await router({ generation: "g1", model: "digits", stable: stable(backend.url) });
    const answer = await infer(url);
    expect(answer.status).toBe(503);
    expect(answer.headers.get("retry-after")).toBe("1");
    expect(answer.headers.get("naru-error-code")).toBe("BackendUnavailable");
    expect((await report()).tracks[0]).toMatchObject({ requests: 1, errors: 1 });
  });

  it("repeats an inference whose connection broke before an answer, once; never what may have an effect", async () => {
    const tries = new Map<string, number>();
    const backend = await server({
      intercept: (request) => {
        const url = request.url ?? "";
        tries.set(url, (tries.get(url) ?? 0) + 1);
        // The first of each, as a pooled connection that died while the request was on its way.
        if (tries.get(url) === 1 || url === "/always") {
          request.socket.destroy();
          return true;
        }
        return false;
      },
    });
    const { url, report } = await router({ generation: "g1", model: "digits", stable: stable(backend.url) });
    expect(await outputOf(await infer(url))).toEqual([2, 4]);
    expect(tries.get("/v2/models/digits/infer")).toBe(2);
    expect((await fetch(`${url}/pay`, { method: "POST", body: "{}" })).status).toBe(502);
    expect(tries.get("/pay")).toBe(1);
    expect((await fetch(`${url}/always`)).status).toBe(502);
    expect(tries.get("/always")).toBe(2);
    expect((await report()).tracks[0]).toMatchObject({ requests: 3, errors: 2 });
  });

  it("answers bytes that are no HTTP with 400 and goes on", async () => {
    const backend = await server();
    const { url, report } = await router({
      generation: "g1",
      model: "digits",
      stable: stable(backend.url),
    });
    const socket = connect(Number(new URL(url).port), "127.0.0.1");
    socket.write("GARBAGE\r\n\r\n");
    const star = await RawConnection.open(Number(new URL(url).port));
    star.send("OPTIONS * HTTP/1.1\r\nhost: a\r\n\r\n");
    expect((await star.answer()).head).toContain("400");
    const said = await new Promise<string>((resolve) => {
      let text = "";
      socket.on("data", (chunk) => {
        text += chunk.toString();
      });
      socket.on("close", () => resolve(text));
    });
    expect(said).toContain("400");
    expect((await infer(url)).status).toBe(200);
    expect((await report()).tracks[0]).toMatchObject({ errors: 0 });
  });
});

describe("questions of V2", () => {
  it("go to stable, count for nothing, and the server's own life is answered without a backend", async () => {
    const [a, b] = [await server(), await server()];
    const { url, report } = await router({
      generation: "g1",
      model: "digits",
      stable: stable(a.url, 0),
      canary: canary(b.url, 100),
    });
    expect(await (await fetch(`${url}/v2/health/live`)).json()).toEqual({ live: true });
    expect((await fetch(`${url}/v2/health/ready`)).status).toBe(200);
    const metadata = await fetch(`${url}/v2/models/digits`);
    expect(metadata.headers.get("naru-revision")).toBe("r1");
    expect(await metadata.json()).toMatchObject({ name: "digits", inputs: [{ name: "x" }] });
    expect(b.seen).toHaveLength(0);
    expect((await report()).tracks.map(({ requests }) => requests)).toEqual([0, 0]);
  });

  it("are answered 503 while there is no configuration, on both ports", async () => {
    const { url, admin, report } = await router(undefined);
    expect((await infer(url)).status).toBe(503);
    expect((await fetch(`${admin}/readyz`)).status).toBe(503);
    expect((await fetch(`${admin}/livez`)).status).toBe(200);
    expect(await report()).toMatchObject({ ready: false, problem: { code: "InvalidConfig" } });
  });

  it("shows its metrics by revision and code", async () => {
    const backend = await server();
    const { url, admin } = await router({ generation: "g1", model: "digits", stable: stable(backend.url) });
    await infer(url);
    await infer(url, "not json");
    const text = await (await fetch(`${admin}/metrics`)).text();
    expect(text).toContain('naru_router_requests_total{revision="r1",code="200"} 1');
    expect(text).toContain('naru_router_requests_total{revision="r1",code="400"} 1');
    expect(text).toContain('naru_router_request_duration_seconds_count{revision="r1"} 2');
    expect(text).toContain("naru_router_ready 1");
  });
});
