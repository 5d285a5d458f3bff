import { generateKeyPairSync, sign } from "node:crypto";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { fetchArtifacts } from "../../../lib/artifacts/fetch-artifacts.ts";
import { fetchConfig } from "../../../lib/config/fetch.ts";
import { sha256 } from "../../support/file-server.ts";

const content = Buffer.from("a model");
const digest = sha256(content);
const { publicKey, privateKey } = generateKeyPairSync("ed25519");
const pem = publicKey.export({ type: "spki", format: "pem" }).toString();
const signed = sign(null, Buffer.from(digest), privateKey);

let folder: string;
let directory: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "naru-signature-"));
  directory = join(folder, "models");
  await writeFile(join(folder, "model.onnx"), content);
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function bring(signature: Buffer | string | undefined, key: string | undefined) {
  const file = join(folder, "model.sig");
  if (signature === undefined) await rm(file, { force: true });
  else await writeFile(file, signature);
  const config = fetchConfig.parse({
    files: [{ path: "digits/model.onnx", uri: `file://${join(folder, "model.onnx")}`, sha256: digest }],
    signatures: [{ digest, uri: `file://${file}` }],
  });
  await fetchArtifacts(config, {
    directory,
    owner: "pod-0",
    env: key === undefined ? {} : { NARU_SIGNATURE_PUBLIC_KEY: key },
  });
  return readFile(join(directory, "digits/model.onnx"));
}

test("a model that is signed with the key is shown, whether the signature is raw or base64", async () => {
  expect(await bring(signed, pem)).toEqual(content);
  await rm(directory, { recursive: true });
  expect(await bring(`${signed.toString("base64")}\n`, pem)).toEqual(content);
});

test("the key may be the 32 bytes in base64", async () => {
  const raw = publicKey.export({ type: "spki", format: "der" }).subarray(-32).toString("base64");
  expect(await bring(signed, raw)).toEqual(content);
});

test("a model that another key signed, or nobody, never has a name that could be loaded", async () => {
  const other = generateKeyPairSync("ed25519").privateKey;
  for (const wrong of [
    sign(null, Buffer.from(digest), other),
    Buffer.alloc(64),
    Buffer.from("no signature"),
    "",
  ]) {
    await expect(bring(wrong, pem)).rejects.toMatchObject({ code: "SignatureInvalid" });
  }
  await expect(readFile(join(directory, "digits/model.onnx"))).rejects.toMatchObject({ code: "ENOENT" });
});

test("a missing key, or one of another kind, refuses the model", async () => {
  const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 }).publicKey.export({
    type: "spki",
    format: "pem",
  });
  for (const key of [undefined, "", "no key", rsa.toString()]) {
    await expect(bring(signed, key)).rejects.toMatchObject({ code: "SignatureKeyInvalid" });
  }
});

test("a signed model in the cache needs its source no more, and is refused once the key is another", async () => {
  await bring(signed, pem);
  expect(await bring(undefined, pem)).toEqual(content);
  const other = generateKeyPairSync("ed25519").publicKey.export({ type: "spki", format: "pem" });
  await expect(bring(signed, other.toString())).rejects.toMatchObject({ code: "SignatureInvalid" });
});
