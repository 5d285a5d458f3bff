import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { openServiceAccount } from "../../../operator/kube/service-account.ts";
import { FakeClock } from "../../support/fake-clock.ts";
import { projectFiles } from "../../support/projected-volume.ts";

const POD = { KUBERNETES_SERVICE_HOST: "10.96.0.1", KUBERNETES_SERVICE_PORT: "443" };

describe("a connection by a pod's service account", () => {
  let folder: string;
  let clock: FakeClock;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "naru-service-account-"));
    clock = new FakeClock();
    await mount("first");
  });
  afterEach(async () => rm(folder, { recursive: true, force: true }));

  const mount = (token: string, ca = "authority") => projectFiles(folder, { token, "ca.crt": ca });
  const open = (env: NodeJS.ProcessEnv = POD) => openServiceAccount(folder, env, clock);

  test.each([
    ["10.96.0.1", "443", "https://10.96.0.1:443"],
    ["fd00:10:96::1", "443", "https://[fd00:10:96::1]:443"],
    ["kubernetes.default.svc", "8080", "https://kubernetes.default.svc:8080"],
  ])("goes to %s, port %s, by TLS", async (KUBERNETES_SERVICE_HOST, KUBERNETES_SERVICE_PORT, url) => {
    expect((await open({ KUBERNETES_SERVICE_HOST, KUBERNETES_SERVICE_PORT })).url).toBe(url);
  });

  test("carries the token, without the line break at its end, and trusts the authority alone", async () => {
    await mount("with-line-break\n", "-----BEGIN CERTIFICATE-----\n");
    expect(await (await open()).credentials()).toEqual({
      headers: { Authorization: "Bearer with-line-break" },
      tls: { ca: "-----BEGIN CERTIFICATE-----" },
    });
  });

  test("reads a token that the kubelet replaced after ten seconds", async () => {
    const connection = await open();
    const sent = async () => (await connection.credentials()).headers.Authorization;
    await mount("second");
    clock.advance(9_999);
    expect(await sent()).toBe("Bearer first");
    clock.advance(1);
    expect(await sent()).toBe("Bearer second");
  });

  test("reads it at once where the server refuses the old one, and no more than once a second", async () => {
    const connection = await open();
    const renewed = async () => (await connection.credentials({ renew: true })).headers.Authorization;
    await mount("second");
    expect(await renewed()).toBe("Bearer second");
    expect((await connection.credentials()).headers.Authorization).toBe("Bearer second");
    await mount("third");
    expect(await renewed()).toBe("Bearer second");
    clock.advance(1_000);
    expect(await renewed()).toBe("Bearer third");
  });

  test("keeps its connections while the token rotates, and not when the authority does", async () => {
    const connection = await open();
    const { tls } = await connection.credentials();
    await mount("second");
    clock.advance(10_000);
    expect(await connection.credentials()).toMatchObject({ headers: { Authorization: "Bearer second" } });
    expect((await connection.credentials()).tls).toBe(tls);
    await mount("second", "another authority");
    clock.advance(10_000);
    expect((await connection.credentials()).tls).toEqual({ ca: "another authority" });
  });

  test("tries again at once where a file could not be read", async () => {
    const connection = await open();
    await rm(join(folder, "token"));
    clock.advance(10_000);
    await expect(connection.credentials()).rejects.toMatchObject({ code: "KubeConfigUnusable" });
    await writeFile(join(folder, "token"), "second");
    expect((await connection.credentials()).headers.Authorization).toBe("Bearer second");
  });

  for (const name of ["KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"]) {
    test.each([undefined, ""])(`is refused by name where ${name} is %o`, async (value) => {
      await refused({ ...POD, [name]: value }, `${name} is not set`);
    });
  }

  for (const name of ["token", "ca.crt"]) {
    test(`is refused by name where ${name} is missing or empty`, async () => {
      await writeFile(join(folder, name), " \n");
      await refused(POD, `${join(folder, name)} is empty`);
      await rm(join(folder, name));
      await refused(POD, `no such file or directory, open '${join(folder, name)}'`);
    });
  }

  test("is refused where host and port are no address", async () => {
    await refused({ ...POD, KUBERNETES_SERVICE_PORT: "tcp://10.96.0.1:443" }, "is no address");
  });

  async function refused(env: NodeJS.ProcessEnv, why: string): Promise<void> {
    await expect(open(env)).rejects.toMatchObject({
      code: "KubeConfigUnusable",
      message: expect.stringContaining(why),
      remedy: expect.stringContaining("service account"),
    });
  }
});
