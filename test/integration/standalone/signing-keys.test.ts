import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { openRouterSigner } from "../../../operator/model-serving/router-signer.ts";
import { signingKeyFile } from "../../../operator/standalone/signing-keys.ts";

let dir: string;
const file = () => join(dir, "state", "signing-keys.pem");
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "naru-test-"));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

const open = () => openRouterSigner(signingKeyFile(join(dir, "state")));

describe("the signing keys in the state folder", () => {
  test("are made at the first start, readable by nobody else, and are the same at the next", async () => {
    const first = await open();
    expect((await stat(file())).mode & 0o777).toBe(0o600);
    const text = await readFile(file(), "utf8");
    expect((await open()).publicKeys).toEqual(first.publicKeys);
    expect(await readFile(file(), "utf8")).toBe(text);
    expect(await readdir(join(dir, "state"))).toEqual(["signing-keys.pem"]);
  });

  test("are one pair, however many make them at once", async () => {
    const signers = await Promise.all(Array.from({ length: 20 }, open));
    expect(new Set(signers.flatMap(({ publicKeys }) => publicKeys)).size).toBe(1);
    expect(await readdir(join(dir, "state"))).toEqual(["signing-keys.pem"]);
  });

  test("that are broken are told, and not replaced", async () => {
    await open();
    await writeFile(file(), "no key");
    await expect(open()).rejects.toMatchObject({ code: "SigningKeysInvalid" });
    expect(await readFile(file(), "utf8")).toBe("no key");
  });

  test("that can't be kept are told with the file", async () => {
    await writeFile(join(dir, "state"), "no folder");
    await expect(open()).rejects.toMatchObject({
      code: expect.stringMatching(/^StateUn(readable|writable)$/),
    });
  });
});
