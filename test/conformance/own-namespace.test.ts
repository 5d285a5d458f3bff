import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readPrivateKeys } from "../../lib/signing/keys.ts";
import { type ApiClient, openApiClient } from "../../operator/kube/api-client.ts";
import { Election } from "../../operator/kube/election.ts";
import { givenBack, heldBy } from "../../operator/kube/lease.ts";
import { leaseOf } from "../../operator/kube/lease-store.ts";
import { openConnection } from "../../operator/kube/open-connection.ts";
import { SIGNING_KEY_SECRET, signingKeySecret } from "../../operator/kube/signing-key-secret.ts";
import { openRouterSigner } from "../../operator/model-serving/router-signer.ts";
import { type ApiServer, missingAssets, startApiServer } from "../support/api-server.ts";
import { MemoryLog } from "../support/widgets.ts";

const missing = await missingAssets();
if (missing !== undefined) console.log(`skipped: lease and signing keys on a real API server: ${missing}`);

describe.skipIf(missing !== undefined)("what the operator keeps for itself on a real API server", () => {
  const never = new AbortController().signal;
  let server: ApiServer;
  let client: ApiClient;

  beforeAll(async () => {
    server = await startApiServer();
    client = openApiClient(await openConnection({ kubeconfig: server.kubeconfig }));
  });
  afterAll(async () => {
    await client?.close();
    await server?.stop();
  });

  test("a lease is stored as it is sent, and a second one of its name is refused", async () => {
    const store = leaseOf(client, "default", "stored");
    expect(await store.read(never)).toBeUndefined();
    const spec = heldBy("first", undefined, new Date(), 15);
    expect((await store.create(spec, never)).spec).toEqual(spec);
    expect((await store.read(never))?.spec).toEqual(spec);
    await expect(store.create(spec, never)).rejects.toMatchObject({ code: "Conflict" });
  });

  test("of two renewals of one state the second is refused, also of a lease given back", async () => {
    const store = leaseOf(client, "default", "renewed");
    const created = await store.create(heldBy("first", undefined, new Date(), 15), never);
    const renewed = await store.replace(
      { ...created, spec: heldBy("first", created.spec, new Date(), 15) },
      never,
    );
    await expect(store.replace({ ...created, spec: renewed.spec ?? {} }, never)).rejects.toMatchObject({
      code: "Conflict",
    });
    const back = await store.replace({ ...renewed, spec: givenBack(renewed.spec ?? {}, new Date()) }, never);
    expect(back.spec).toMatchObject({ holderIdentity: "", leaseDurationSeconds: 1, leaseTransitions: 0 });
    const taken = await store.replace({ ...back, spec: heldBy("second", back.spec, new Date(), 15) }, never);
    expect(taken.spec).toMatchObject({ holderIdentity: "second", leaseTransitions: 1 });
  });

  test("of several candidates one leads, and another does once it has given the lease back", async () => {
    const timing = { leaseDuration: 2_000, renewDeadline: 1_500, retryPeriod: 100 };
    const stop = new AbortController();
    const candidates = ["a", "b", "c"].map((identity) => {
      const store = leaseOf(client, "default", "elected");
      return new Election({ store, identity, timing, log: new MemoryLog() }).acquire(stop.signal);
    });
    const first = await Promise.race(candidates);
    const others = candidates.map((candidate) => candidate.then((term) => term !== first && term));
    expect(first?.mayWrite()).toBe(true);
    await first?.end();
    expect(first?.mayWrite()).toBe(false);
    const second = await Promise.any(others.map(async (term) => (await term) || Promise.reject()));
    expect(second.mayWrite()).toBe(true);
    stop.abort();
    const terms = await Promise.all(candidates);
    expect(terms.filter((term) => term?.mayWrite() === true).length).toBeLessThanOrEqual(1);
    for (const term of terms) await term?.end();
    const left = await leaseOf(client, "default", "elected").read(never);
    expect(left?.spec?.holderIdentity).toBe("");
  });

  test("operators that start at once go by one signing key, which stays", async () => {
    const store = signingKeySecret(client, "default");
    expect(await store.read()).toBeUndefined();
    const signers = await Promise.all(
      [1, 2, 3].map(() => openRouterSigner(signingKeySecret(client, "default"))),
    );
    const [first] = signers;
    expect(first?.publicKeys.length).toBe(1);
    for (const signer of signers) expect(signer.publicKeys).toEqual(first?.publicKeys);
    const kept = readPrivateKeys((await store.read()) ?? "");
    expect(kept.map(({ publicKey }) => publicKey)).toEqual(first?.publicKeys);
  });

  test("a Secret of that name without a key is not taken for none", async () => {
    await server.request("POST", "/api/v1/namespaces", { metadata: { name: "other" } });
    const metadata = { name: SIGNING_KEY_SECRET };
    await server.request("POST", "/api/v1/namespaces/other/secrets", { metadata, data: {} });
    await expect(openRouterSigner(signingKeySecret(client, "other"))).rejects.toMatchObject({
      code: "SigningKeysInvalid",
    });
  });
});
