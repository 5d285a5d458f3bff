import { describe, expect, it } from "vitest";
import { eventually } from "../../support/eventually.ts";
import { infer, inferBody, outputOf, router, server } from "./harness.ts";
import { doubling } from "./v2-server.ts";

const held = (url: string, maxRequests: number, seconds: number) => ({
  generation: "g1",
  model: "digits",
  stable: { revision: "r1", weightPercent: 100, backend: { http: url } },
  hold: { maxRequests, seconds },
});

describe("a router that holds", () => {
  it("forwards, in their order, the requests that came before a backend was ready", async () => {
    const placeholder = await server();
    placeholder.close();
    const { url, report } = await router(held(placeholder.url, 10, 30));
    expect((await fetch(`${url}/v2/health/ready`)).status).toBe(200);
    const answers: Promise<Response>[] = [];
    for (let n = 1; n <= 5; n += 1) {
      answers.push(infer(url, inferBody(n)));
      await eventually(`${n} held`, async () => (await report()).held === n);
    }
    const backend = await server({ port: placeholder.port });
    for (const [n, answer] of (await Promise.all(answers)).entries()) {
      expect(answer.status).toBe(200);
      expect(await outputOf(answer)).toEqual([(n + 1) * 2]);
    }
    const order = backend.seen
      .filter(({ url: path }) => path.endsWith("/infer"))
      .map(
        ({ body }) => (JSON.parse(body.toString()) as { inputs: { data: number[] }[] }).inputs[0]?.data[0],
      );
    expect(order).toEqual([1, 2, 3, 4, 5]);
    expect(await report()).toMatchObject({ held: 0, tracks: [{ requests: 5, errors: 0 }] });
  });

  it("holds no more than its bound, and tells the next to try again", async () => {
    const placeholder = await server();
    placeholder.close();
    const { url, admin, report } = await router(held(placeholder.url, 2, 30));
    const waiting = [infer(url), infer(url)];
    await eventually("two held", async () => (await report()).held === 2);
    const refused = await infer(url);
    expect(refused.status).toBe(503);
    expect(refused.headers.get("retry-after")).toBe("1");
    await server({ port: placeholder.port });
    for (const answer of await Promise.all(waiting)) expect(answer.status).toBe(200);
    expect(await (await fetch(`${admin}/metrics`)).text()).toContain("naru_router_held_refused_total 1");
  });

  it("gives up after its time", async () => {
    const placeholder = await server();
    placeholder.close();
    const { url } = await router(held(placeholder.url, 2, 1));
    const answer = await infer(url);
    expect(answer.status).toBe(503);
    expect(await answer.json()).toEqual({ error: "no backend became ready within 1 s" });
  });

  it("lets go of a request whose client left", async () => {
    const placeholder = await server();
    placeholder.close();
    const { url, report } = await router(held(placeholder.url, 2, 30));
    const controller = new AbortController();
    const waiting = fetch(`${url}/v2/models/digits/infer`, {
      method: "POST",
      body: inferBody(1),
      signal: controller.signal,
    });
    await eventually("one held", async () => (await report()).held === 1);
    controller.abort();
    await expect(waiting).rejects.toThrow();
    await eventually("none held", async () => (await report()).held === 0);
    expect((await report()).tracks[0]).toMatchObject({ errors: 0 });
  });

  it("does not forward to a pod that listens but says that it is not ready", async () => {
    const placeholder = await server();
    placeholder.close();
    const { url, report } = await router(held(placeholder.url, 2, 30));
    const waiting = infer(url);
    await eventually("one held", async () => (await report()).held === 1);
    let ready = false;
    let probes = 0;
    const backend = await server({
      port: placeholder.port,
      models: { digits: doubling },
      intercept: (request, response) => {
        if (ready || request.url !== "/v2/health/ready") return false;
        probes += 1;
        response.writeHead(503).end();
        return true;
      },
    });
    await eventually("asked twice", () => probes >= 2);
    expect(backend.seen.some(({ url: path }) => path.endsWith("/infer"))).toBe(false);
    ready = true;
    expect((await waiting).status).toBe(200);
  });
});
