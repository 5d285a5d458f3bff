import { createPublicKey, type KeyObject, verify } from "node:crypto";
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { FetchConfig } from "../config/fetch.ts";
import { signatureInvalid, signatureKeyInvalid } from "./failures.ts";
import { isMissing } from "./partial-file.ts";
import type { RemoteFile } from "./remote-file.ts";

export type Signature = FetchConfig["signatures"][number];

/** An Ed25519 signature is 64 bytes, 88 characters in base64; more than this is none. */
const MOST_BYTES = 1024;
const SIGNATURE_BYTES = 64;
/** SubjectPublicKeyInfo of an Ed25519 key up to the 32 bytes of the key itself (RFC 8410). */
const SPKI_PREFIX = Buffer.from("302a300506032b6570032100", "hex");
const RAW_KEY_BYTES = 32;

/**
 * Refuses a model whose digest was not signed with the key. What is signed is the model's digest as its 64 hex
 * digits, without a line's end:
 *
 *     printf %s "$digest" > digest && openssl pkeyutl -sign -inkey key.pem -rawin -in digest | base64 > model.sig
 *
 * The signature is kept beside the cache, so that a signed model needs its source no more than another; it is
 * verified each time, and one that no longer verifies is brought anew.
 *
 * @param key PEM, or the 32 bytes of the key in base64 (`NARU_SIGNATURE_PUBLIC_KEY`)
 * @throws NaruError SignatureInvalid, SignatureKeyInvalid; those of the source
 */
export async function verifySignature(
  { digest, uri }: Signature,
  key: string | undefined,
  source: RemoteFile,
  directory: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  const publicKey = readPublicKey(key);
  const kept = join(directory, "signatures", digest);
  const known = await readFile(kept).catch((thrown) => {
    if (isMissing(thrown)) return undefined;
    throw thrown;
  });
  if (known !== undefined && isSigned(digest, known, publicKey)) return;

  const { body } = await source.open({ start: 0, validator: undefined, signal });
  const brought = decode(await readAtMost(body, MOST_BYTES));
  if (!isSigned(digest, brought, publicKey)) throw signatureInvalid(uri, digest);
  await mkdir(join(directory, "signatures"), { recursive: true });
  const partial = `${kept}.${process.pid}`;
  await writeFile(partial, brought);
  await rename(partial, kept);
}

function isSigned(digest: string, signature: Buffer, key: KeyObject): boolean {
  return signature.length === SIGNATURE_BYTES && verify(null, Buffer.from(digest, "ascii"), key, signature);
}

/** Raw bytes, or base64 of them. */
function decode(content: Buffer): Buffer {
  return content.length === SIGNATURE_BYTES
    ? content
    : Buffer.from(content.toString("latin1").trim(), "base64");
}

function readPublicKey(text: string | undefined): KeyObject {
  if (text === undefined || text.trim() === "") throw signatureKeyInvalid();
  try {
    const raw = Buffer.from(text.trim(), "base64");
    const key =
      raw.length === RAW_KEY_BYTES
        ? createPublicKey({ key: Buffer.concat([SPKI_PREFIX, raw]), format: "der", type: "spki" })
        : createPublicKey(text);
    if (key.asymmetricKeyType === "ed25519") return key;
  } catch (thrown) {
    throw signatureKeyInvalid(thrown);
  }
  throw signatureKeyInvalid();
}

async function readAtMost(body: AsyncIterable<Uint8Array>, limit: number): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of body) {
    chunks.push(chunk);
    length += chunk.length;
    if (length > limit) break;
  }
  return Buffer.concat(chunks).subarray(0, limit);
}
