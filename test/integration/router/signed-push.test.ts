import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { eventually } from "../../support/eventually.ts";
import { RawConnection } from "../../support/raw-http.ts";
import { folder, infer, newKey, OWNER, operatorKey, router, server, signed, trust } from "./harness.ts";

const config = (generation: string, url: string, extra: Record<string, unknown> = {}) => ({
  generation,
  model: "digits",
  stable: { revision: "r1", weightPercent: 100, backend: { http: url } },
  ...extra,
});

/** A router in front of `own`, and the address of a server that a stranger would lead its requests to. */
async function stand(options: Parameters<typeof router>[1] = {}) {
  const [own, stranger] = [await server(), await server()];
  const tested = await router(config("g1", own.url), options);
  return {
    ...tested,
    own,
    stolen: config("stolen", stranger.url),
    /** Nothing but counters tells of the refusal, and requests go where they went. */
    async unmoved(code: string) {
      expect((await infer(tested.url)).status).toBe(200);
      expect(stranger.seen).toHaveLength(0);
      const report = await tested.report();
      expect(report).toMatchObject({ generation: "g1", ready: true });
      expect(report.problem).toBeUndefined();
      expect(report.refusedPushes).toEqual({ [code]: 1 });
      const metrics = await (await fetch(`${tested.admin}/metrics`)).text();
      expect(metrics).toContain(`naru_router_pushes_refused_total{code="${code}"} 1`);
    },
  };
}

describe("a configuration that is pushed by somebody else", () => {
  it("is refused without a signature", async () => {
    const { put, unmoved, stolen } = await stand();
    const answer = await put(JSON.stringify({ owner: OWNER, config: stolen }));
    expect(answer).toMatchObject({ status: 401, code: "PushUnsigned" });
    await unmoved("PushUnsigned");
  });

  it("is refused without a signature before its body has come", async () => {
    const { running, unmoved } = await stand();
    const connection = await RawConnection.open(running.ports.admin);
    connection.send(
      "PUT /naru/config HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 1000000\r\n\r\n{",
    );
    expect((await connection.answer()).head).toMatch(/^http\/1.1 401 .*naru-error-code: pushunsigned/s);
    connection.socket.destroy();
    await unmoved("PushUnsigned");
  });

  it("is refused with a signature that is none", async () => {
    const { put, unmoved, stolen } = await stand();
    const answer = await put(signed(stolen).body, { "naru-signature": "mine" });
    expect(answer).toMatchObject({ status: 401, code: "PushUnsigned" });
    await unmoved("PushUnsigned");
  });

  it("is refused if another key signed it", async () => {
    const { put, unmoved, stolen } = await stand();
    const { body, headers } = signed(stolen, { keys: [newKey()] });
    expect(await put(body, headers)).toMatchObject({ status: 403, code: "PushKeyUntrusted" });
    await unmoved("PushKeyUntrusted");
  });

  it("is refused if it is not what was signed", async () => {
    const { put, unmoved, own, stolen } = await stand();
    const { headers } = signed(config("g2", own.url));
    expect(await put(signed(stolen).body, headers)).toMatchObject({
      status: 403,
      code: "PushSignatureInvalid",
    });
    await unmoved("PushSignatureInvalid");
  });

  it("is refused if one space was added to what was signed", async () => {
    const { put, unmoved, own } = await stand();
    const { body, headers } = signed(config("g2", own.url));
    expect(await put(`${body} `, headers)).toMatchObject({ status: 403, code: "PushSignatureInvalid" });
    await unmoved("PushSignatureInvalid");
  });

  it.each([
    ["another ModelServing of the namespace", { ...OWNER, name: "other" }],
    ["one of that name in another namespace", { ...OWNER, namespace: "other" }],
    ["a former one of that name", { ...OWNER, uid: "u0" }],
  ])("is refused though the operator signed it, for %s", async (_, owner) => {
    const { put, unmoved, stolen } = await stand();
    const { body, headers } = signed(stolen, { owner });
    expect(await put(body, headers)).toMatchObject({ status: 403, code: "PushForOther" });
    await unmoved("PushForOther");
  });

  it("is refused where the operator signed it once and has told the router something newer since", async () => {
    const { put, own, report, url } = await stand();
    const before = signed(config("before", "http://127.0.0.1:9"));
    const after = signed(config("g2", own.url));
    expect(await put(after.body, after.headers)).toMatchObject({ status: 200 });
    expect(await put(before.body, before.headers)).toMatchObject({ status: 409, code: "StaleConfig" });
    expect(await put(after.body, after.headers)).toMatchObject({ status: 200 });
    expect((await infer(url)).status).toBe(200);
    expect(await report()).toMatchObject({ generation: "g2", refusedPushes: { StaleConfig: 1 } });
  });

  it("is refused as old by a container that restarted, too", async () => {
    const stateDir = await folder("naru-state-");
    const { put, push, own, running, configDir } = await stand({ stateDir });
    const recorded = signed(config("before", "http://127.0.0.1:9"));
    await put(recorded.body, recorded.headers);
    await push(config("g2", own.url));
    await eventually("the push is kept", async () =>
      (await readFile(join(stateDir, "router.json"), "utf8")).includes('"g2"'),
    );
    running.stop();
    const again = await router(undefined, { stateDir, configDir });
    expect(await again.put(recorded.body, recorded.headers)).toMatchObject({ code: "StaleConfig" });
    expect((await again.report()).generation).toBe("g2");
  });

  it("is refused without a number, since it could be sent again at any time", async () => {
    const { push, own, report } = await stand();
    expect(await push(config("g2", own.url, { sequence: 0 }))).toMatchObject({
      status: 400,
      code: "InvalidConfig",
    });
    expect((await report()).generation).toBe("g1");
  });

  it("is refused if it is empty or of another content type", async () => {
    const { put, admin, stolen } = await stand();
    const { body, headers } = signed(stolen);
    expect(await put(body, { ...headers, "content-type": "text/plain" })).toMatchObject({ status: 415 });
    const none = await fetch(`${admin}/naru/config`, { method: "PUT", headers });
    expect(none.status).toBe(403);
  });
});

describe("a router without trust.json", () => {
  it("takes no push, the operator's neither, and follows its mounted configuration", async () => {
    const { push, unmoved, own, configDir, report } = await stand({ publicKeys: [] });
    expect(await push(config("g2", own.url))).toMatchObject({ status: 403, code: "PushesNotTaken" });
    await unmoved("PushesNotTaken");
    await writeFile(join(configDir, "router.json"), JSON.stringify(config("g3", own.url)));
    await eventually("the mounted one", async () => (await report()).generation === "g3");
  });

  it("takes none either when the file is broken, or taken away", async () => {
    const { push, own, configDir } = await stand();
    await writeFile(join(configDir, "trust.json"), "{}");
    expect(await push(config("g2", own.url))).toMatchObject({ code: "PushesNotTaken" });
    await rm(join(configDir, "trust.json"));
    expect(await push(config("g2", own.url))).toMatchObject({ code: "PushesNotTaken" });
  });
});

describe("a change of the operator's keys", () => {
  it("needs no restart, and no moment in which the operator is not understood", async () => {
    const { put, own, configDir, report } = await stand();
    const next = newKey();
    const push = async (generation: string, keys: Parameters<typeof signed>[1]) => {
      const { body, headers } = signed(config(generation, own.url), keys);
      return put(body, headers);
    };
    // The operator signs with both; the router knows the old one, then both, then the new one.
    expect(await push("g2", { keys: [next, operatorKey] })).toMatchObject({ status: 200 });
    await trust(configDir, [next.publicKey, operatorKey.publicKey]);
    expect(await push("g3", { keys: [next, operatorKey] })).toMatchObject({ status: 200 });
    expect(await push("g4", { keys: [next] })).toMatchObject({ status: 200 });
    await trust(configDir, [next.publicKey]);
    expect(await push("g5", { keys: [next] })).toMatchObject({ status: 200 });
    expect(await push("g6", { keys: [operatorKey] })).toMatchObject({
      status: 403,
      code: "PushKeyUntrusted",
    });
    expect((await report()).generation).toBe("g5");
  });
});

describe("what anybody may read on the admin port", () => {
  it("names no key and no address of a backend", async () => {
    const { admin, own, push } = await stand();
    await push(config("g2", own.url));
    for (const path of ["/naru/status", "/metrics", "/readyz"]) {
      const text = await (await fetch(`${admin}${path}`)).text();
      expect(text).not.toContain(own.url);
      expect(text).not.toContain(operatorKey.publicKey);
    }
  });
});
