import { once } from "node:events";
import { mkdir, mkdtemp, readFile, rm } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect, createServer, type TLSSocket } from "node:tls";
import { afterAll, afterEach, beforeAll, describe, expect, onTestFailed, test } from "vitest";
import { openApiClient } from "../../operator/kube/api-client.ts";
import { openServiceAccount } from "../../operator/kube/service-account.ts";
import { type ApiServer, missingAssets, startApiServer } from "../support/api-server.ts";
import { makeCertificates } from "../support/certificates.ts";
import { eventually } from "../support/eventually.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { type MountedServiceAccount, mountServiceAccount } from "../support/service-account.ts";
import { applyAs, installModelServing, modelServing, newNamespace } from "./support/kube.ts";
import { startOperator } from "./support/operator-process.ts";

const missing = await missingAssets();
if (missing !== undefined) console.log(`skipped: a service account on a real API server: ${missing}`);

/** A token that was good is good for ten seconds more: the API server remembers its answer. */
const PATIENCE = 120_000;

describe.skipIf(missing !== undefined)("a pod's service account on a real API server", () => {
  let server: ApiServer;
  let scratch: string;
  let account: MountedServiceAccount;
  let accounts = 0;
  const ends: (() => Promise<unknown>)[] = [];

  beforeAll(async () => {
    scratch = await mkdtemp(join(tmpdir(), "naru-service-account-"));
    server = await startApiServer();
    await installModelServing(server);
  });
  afterEach(async () => {
    for (const end of ends.splice(0).reverse()) await end();
  });
  afterAll(async () => {
    await server?.stop();
    await rm(scratch, { recursive: true, force: true });
  });

  /** One whose first token is good until the answer is called. */
  async function mounted(): Promise<() => Promise<unknown>> {
    accounts += 1;
    const name = `operator-${accounts}`;
    account = await mountServiceAccount(server, join(scratch, name), name);
    const secrets = "/api/v1/namespaces/default/secrets";
    await server.request("POST", secrets, { metadata: { name } });
    await account.mount(await account.token(name));
    return () => server.request("DELETE", `${secrets}/${name}`);
  }

  /** What the server answers to that token now. */
  async function statusFor(token: string): Promise<number> {
    const ca = await readFile(server.authority, "utf8");
    const client = openApiClient({
      url: server.url,
      credentials: async () => ({ headers: { authorization: `Bearer ${token}` }, tls: { ca } }),
    });
    try {
      await client.request("GET", "/api/v1/namespaces/default");
      return 200;
    } catch (thrown) {
      return (thrown as { status: number }).status;
    } finally {
      await client.close();
    }
  }

  test(
    "asks with the token of the moment: once the old one is refused no request fails",
    async () => {
      const revoke = await mounted();
      // Its clock stands still: what is read again is read because the server refuses.
      const connection = await openServiceAccount(account.folder, account.env, new FakeClock());
      const client = openApiClient(connection);
      ends.push(() => client.close());
      const ask = () => client.request("GET", "/api/v1/namespaces/default");
      await ask();
      const { headers: first, tls } = await connection.credentials();

      const next = await account.token();
      await account.mount(next);
      await ask();
      expect((await connection.credentials()).headers).toEqual(first);
      await revoke();
      await eventually(
        "the next token is used",
        async () => {
          await ask();
          return (await connection.credentials()).headers.Authorization === `Bearer ${next}`;
        },
        60_000,
      );
      expect((await connection.credentials()).tls).toBe(tls);
    },
    PATIENCE,
  );

  test(
    "trusts the authority of the moment: another one is refused until ca.crt says so, and the old one after",
    async () => {
      await mounted();
      const made = await Promise.all(
        ["old", "new"].map(async (name) => {
          await mkdir(join(scratch, name));
          return makeCertificates(join(scratch, name));
        }),
      );
      const [old, renewed] = await Promise.all(
        made.map(async (one) => ({ ...one, ca: await readFile(one.caFile, "utf8") })),
      );
      if (old === undefined || renewed === undefined) throw new Error("two authorities are made");
      const front = await startFront(old);
      await account.mount(await account.token(), old.ca);
      const clock = new FakeClock();
      const connection = await openServiceAccount(account.folder, front.env, clock);
      const client = openApiClient(connection);
      ends.push(() => client.close());
      const ask = () => client.request("GET", "/api/v1/namespaces/default");
      await ask();

      front.use(renewed);
      await expect(ask()).rejects.toThrow(/certificate/);
      await account.mount(await account.token(), renewed.ca);
      await expect(ask()).rejects.toThrow(/certificate/);
      clock.advance(10_000);
      expect((await ask()).metadata).toMatchObject({ name: "default" });
      front.use(old);
      await expect(ask()).rejects.toThrow(/certificate/);
    },
    PATIENCE,
  );

  test(
    "is all that the operator needs: without Kubernetes' client it leads, acts, and goes on when its token rotates",
    async () => {
      const revoke = await mounted();
      const old = await readFile(join(account.folder, "token"), "utf8");
      const operator = startOperator({ serviceAccount: account, pod: "in-a-pod" });
      ends.push(async () => {
        operator.signal("SIGKILL");
        await operator.ended;
      });
      onTestFailed(() => console.log("the operator logged:", operator.log.slice(-20)));
      await operator.logged("every kind is listed");
      await actedOn("before");

      await account.mount(await account.token());
      await revoke();
      await eventually("the old token is refused", async () => (await statusFor(old)) === 401, 60_000);
      await actedOn("after");
      operator.signal("SIGTERM");
      expect(await operator.ended).toBe(0);
    },
    PATIENCE,
  );

  test("that lacks a file ends the operator with a remedy", async () => {
    await mounted();
    await rm(join(account.folder, "ca.crt"));
    const operator = startOperator({ serviceAccount: account, pod: "broken" });
    expect(await operator.ended).toBe(1);
    expect(JSON.stringify(operator.log.at(-1))).toContain("KubeConfigUnusable");
  });

  async function actedOn(name: string): Promise<void> {
    const namespace = await newNamespace(server);
    await applyAs(server, "kubectl", modelServing(namespace, name, 1));
    const path = `/api/v1/namespaces/${namespace}/services/${name}`;
    await eventually(
      `the Service of ${name}`,
      async () => (await server.request("GET", path)).status === 200,
      60_000,
    );
  }

  /** Stands before the API server with a certificate of its own. */
  async function startFront(first: { key: Buffer; cert: Buffer }) {
    const open = new Set<TLSSocket>();
    const ca = await readFile(server.authority, "utf8");
    const { hostname: host, port } = new URL(server.url);
    const front = createServer({ key: first.key, cert: first.cert }, (socket) => {
      open.add(socket);
      const upstream = connect({ host, port: Number(port), ca });
      socket.on("error", () => upstream.destroy()).on("close", () => upstream.destroy());
      upstream.on("error", () => socket.destroy()).on("close", () => socket.destroy());
      socket.pipe(upstream).pipe(socket);
    });
    front.on("tlsClientError", () => undefined);
    front.listen(0, "127.0.0.1");
    await once(front, "listening");
    const cut = () => {
      for (const socket of open) socket.destroy();
      open.clear();
    };
    ends.push(async () => {
      const closed = once(front, "close");
      front.close();
      cut();
      await closed;
    });
    return {
      env: {
        KUBERNETES_SERVICE_HOST: "127.0.0.1",
        KUBERNETES_SERVICE_PORT: String((front.address() as AddressInfo).port),
      },
      use({ key, cert }: { key: Buffer; cert: Buffer }) {
        front.setSecureContext({ key, cert });
        cut();
      },
    };
  }
});
