import { describe, expect, it } from "vitest";
import { newPrivateKey } from "../../../lib/signing/keys.ts";
import { httpRouterClient } from "../../../operator/model-serving/router-client.ts";
import type { SentConfig } from "../../../operator/model-serving/router-config.ts";
import { openRouterSigner, type RouterSigner } from "../../../operator/model-serving/router-signer.ts";
import { OWNER, router, server } from "./harness.ts";

const { signal } = new AbortController();

function config(generation: string, http: string, sequence: number): SentConfig {
  const stable = { revision: "r1", weightPercent: 100, backend: { http } };
  return { generation, sequence, model: "digits", stable };
}

/** An operator that starts with nothing kept, or with what another kept. */
async function operator(kept?: string): Promise<{ signer: RouterSigner; pem: string }> {
  let pem = kept ?? "";
  const signer = await openRouterSigner({
    read: async () => kept,
    create: async (made) => {
      pem = made;
      return made;
    },
  });
  return { signer, pem };
}

async function stand(signer: RouterSigner) {
  const backend = await server();
  const stable = { revision: "r1", weightPercent: 100, backend: { http: backend.url } };
  const file = { generation: "g1", sequence: 1, model: "digits", stable };
  const tested = await router(file, { publicKeys: signer.publicKeys });
  return { ...tested, backend, address: tested.admin.replace("http://", "") };
}

describe("the operator", () => {
  it("is understood by a router that has its public key, and reads there what came of it", async () => {
    const { signer } = await operator();
    const { address, backend } = await stand(signer);
    const client = httpRouterClient(signer);
    const push = { owner: OWNER, config: config("g2", backend.url, 2) };
    expect(await client.configure(address, push, signal)).toBeUndefined();
    expect(await client.status(address, signal)).toMatchObject({ generation: "g2", sequence: 2 });
  });

  it("is told why it is not: its key is unknown, the router is another's, something newer is in force", async () => {
    const { signer } = await operator();
    const { address, backend } = await stand(signer);
    const push = (generation: string, sequence: number) => ({
      owner: OWNER,
      config: config(generation, backend.url, sequence),
    });
    const other = httpRouterClient((await operator()).signer);
    expect(await other.configure(address, push("g2", 2), signal)).toEqual({
      code: "PushKeyUntrusted",
      message: expect.stringContaining("trusted"),
    });
    const client = httpRouterClient(signer);
    const foreign = { ...push("g2", 2), owner: { ...OWNER, name: "other" } };
    expect(await client.configure(address, foreign, signal)).toMatchObject({ code: "PushForOther" });
    await client.configure(address, push("g3", 3), signal);
    expect(await client.configure(address, push("g2", 2), signal)).toMatchObject({ code: "StaleConfig" });
  });

  it("that starts again with the keys that were kept is the same one to its routers", async () => {
    const first = await operator();
    const { address, backend } = await stand(first.signer);
    const again = await operator(first.pem);
    expect(again.signer.publicKeys).toEqual(first.signer.publicKeys);
    const push = { owner: OWNER, config: config("g2", backend.url, 2) };
    expect(await httpRouterClient(again.signer).configure(address, push, signal)).toBeUndefined();
  });

  it("with a new key before the old one is understood by routers that know either", async () => {
    const old = await operator();
    const both = await operator(newPrivateKey() + old.pem);
    for (const publicKeys of [old.signer.publicKeys, both.signer.publicKeys.slice(0, 1)]) {
      const { address, backend } = await stand({ ...both.signer, publicKeys });
      const push = { owner: OWNER, config: config("g2", backend.url, 2) };
      expect(await httpRouterClient(both.signer).configure(address, push, signal)).toBeUndefined();
    }
  });

  it("makes no key where it can't know whether one is kept", async () => {
    const store = {
      read: () => Promise.reject(new Error("the store does not answer")),
      create: () => Promise.reject(new Error("a key was made")),
    };
    await expect(openRouterSigner(store)).rejects.toThrow("does not answer");
  });
});
