import { createHash, createPrivateKey, generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { NaruError } from "../errors.ts";

/** A present key, a former one on its way out, and room for a mistake in between. */
export const MAX_KEYS = 4;
/** More than MAX_KEYS Ed25519 keys take as PEM, comments included. */
const MAX_PEM_CHARACTERS = 16 * 1024;

/** The private half of an Ed25519 pair. */
export interface SigningKey {
  /** The public half: 32 bytes in base64url (RFC 8037's `x`), 43 characters. */
  readonly publicKey: string;
  /** 64 bytes (RFC 8032). */
  sign(bytes: Uint8Array): Buffer;
}

/** A new private key as PEM (PKCS #8). It is a secret: it is kept by whoever asked for it, and written to no log. */
export function newPrivateKey(): string {
  const { privateKey } = generateKeyPairSync("ed25519");
  return privateKey.export({ format: "pem", type: "pkcs8" }).toString();
}

/**
 * Private keys as PEM one after another, in their order.
 *
 * @throws NaruError SigningKeysInvalid: none, too many, or one that is no Ed25519 key; nothing of them is said.
 */
export function readPrivateKeys(pem: string): readonly SigningKey[] {
  if (pem.length > MAX_PEM_CHARACTERS) throw invalid("they are longer than keys are");
  const blocks = pem.match(/-----BEGIN PRIVATE KEY-----[^-]+-----END PRIVATE KEY-----/g) ?? [];
  if (blocks.length === 0) throw invalid("there is no PEM of a private key");
  if (blocks.length > MAX_KEYS) throw invalid(`there are ${blocks.length}, and at most ${MAX_KEYS} are used`);
  return blocks.map(readPrivateKey);
}

/** Names a public key in a signature and in messages: 64 bits of its SHA-256 as 16 hex digits. */
export function keyIdOf(publicKey: string): string {
  return createHash("sha256").update(Buffer.from(publicKey, "base64url")).digest("hex").slice(0, 16);
}

function readPrivateKey(block: string): SigningKey {
  let key: KeyObject;
  try {
    key = createPrivateKey(block);
  } catch {
    // What OpenSSL says of it may show a part of it.
    throw invalid("one can't be read");
  }
  const publicKey = key.asymmetricKeyType === "ed25519" ? key.export({ format: "jwk" }).x : undefined;
  if (publicKey === undefined) throw invalid("one is no Ed25519 key");
  return { publicKey, sign: (bytes) => sign(null, bytes, key) };
}

function invalid(what: string): NaruError {
  return new NaruError({
    code: "SigningKeysInvalid",
    message: `the operator's signing keys can't be used: ${what}`,
    remedy:
      "keep 1 to 4 Ed25519 private keys as PEM (openssl genpkey -algorithm ed25519), the newest first; or remove them: a new one is made",
  });
}
