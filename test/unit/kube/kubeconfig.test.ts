import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { openConnection } from "../../../operator/kube/open-connection.ts";
import { FakeClock } from "../../support/fake-clock.ts";

describe("a connection by kubeconfig", () => {
  let folder: string;
  let kubeconfig: string;
  let clock: FakeClock;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "naru-kubeconfig-"));
    kubeconfig = join(folder, "config");
    clock = new FakeClock();
  });
  afterEach(async () => rm(folder, { recursive: true, force: true }));

  const write = async (user: object, cluster: object = {}) =>
    writeFile(
      kubeconfig,
      JSON.stringify({
        apiVersion: "v1",
        kind: "Config",
        clusters: [
          { name: "c", cluster: { server: "https://127.0.0.1:6443/", ...cluster } },
          { name: "d", cluster: { server: "https://127.0.0.1:7443" } },
        ],
        users: [{ name: "u", user }],
        contexts: [
          { name: "one", context: { cluster: "c", user: "u" } },
          { name: "two", context: { cluster: "d", user: "u" } },
        ],
        "current-context": "one",
      }),
    );

  test("has the address of the context's cluster", async () => {
    await write({ token: "t" });
    expect((await openConnection({ kubeconfig })).url).toBe("https://127.0.0.1:6443");
    expect((await openConnection({ kubeconfig, context: "two" })).url).toBe("https://127.0.0.1:7443");
  });

  test("reads a token that is mounted as a file again, without the line break at its end", async () => {
    const tokenFile = join(folder, "token");
    await writeFile(tokenFile, "first\n");
    await write({ "auth-provider": { name: "tokenFile", config: { tokenFile } } });
    const connection = await openConnection({ kubeconfig, clock });
    expect((await connection.credentials()).headers).toEqual({ Authorization: "Bearer first" });
    await writeFile(tokenFile, "second\n");
    expect((await connection.credentials()).headers).toEqual({ Authorization: "Bearer first" });
    clock.advance(1_000);
    expect((await connection.credentials({ renew: true })).headers).toEqual({
      Authorization: "Bearer second",
    });
  });

  test("a server that refuses everything does not have the files read all the time", async () => {
    await write({ token: "first" });
    const connection = await openConnection({ kubeconfig, clock });
    await connection.credentials({ renew: true });
    await write({ token: "second" });
    const at = async () => (await connection.credentials({ renew: true })).headers.Authorization;
    expect(await at()).toBe("Bearer first");
    clock.advance(1_000);
    expect(await at()).toBe("Bearer second");
  });

  test("certificates keep their identity until they change, so that connections are kept", async () => {
    const authority = join(folder, "ca.crt");
    await writeFile(authority, "one");
    await write({ token: "t" }, { "certificate-authority": authority });
    const connection = await openConnection({ kubeconfig, clock });
    const { tls } = await connection.credentials();
    clock.advance(60_000);
    expect((await connection.credentials()).tls).toBe(tls);
    await writeFile(authority, "two");
    clock.advance(60_000);
    expect(String((await connection.credentials()).tls.ca)).toBe("two");
  });

  test("a name and a password are sent as Basic, and TLS is not checked where the file says so", async () => {
    await write({ username: "a", password: "b" }, { "insecure-skip-tls-verify": true });
    const { headers, tls } = await (await openConnection({ kubeconfig })).credentials();
    expect(headers.Authorization).toBe(`Basic ${Buffer.from("a:b").toString("base64")}`);
    expect(tls).toEqual({ rejectUnauthorized: false });
  });

  test("what can't be used is said with what to do: no file, no such context, a SOCKS proxy", async () => {
    const unusable = expect.objectContaining({ code: "KubeConfigUnusable" });
    await expect(openConnection({ kubeconfig: join(folder, "none") })).rejects.toEqual(unusable);
    await write({ token: "t" }, { "proxy-url": "socks5://127.0.0.1:1080" });
    await expect(openConnection({ kubeconfig, context: "three" })).rejects.toEqual(unusable);
    await expect((await openConnection({ kubeconfig })).credentials()).rejects.toEqual(unusable);
  });
});
