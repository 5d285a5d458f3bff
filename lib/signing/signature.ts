import { createPublicKey, verify } from "node:crypto";
import { keyIdOf, MAX_KEYS, type SigningKey } from "./keys.ts";

/** `KEYID=SIGNATURE`: 16 hex digits, and 64 bytes in base64url. */
const ENTRY = /^([0-9a-f]{16})=([A-Za-z0-9_-]{86})$/;

export type Verdict =
  /** One of the trusted keys signed exactly these bytes for this purpose. */
  | "valid"
  /** No signature, or not one in the form that `signatureOf` writes. */
  | "malformed"
  /** Signed, but by no key that is trusted. */
  | "untrusted"
  /** It names a trusted key, and that key did not sign these bytes for this purpose. */
  | "invalid";

/**
 * Signs bytes with every key, as one line: whoever trusts any of the keys can verify it, so that a new key may come
 * before those who verify have heard of it.
 *
 * @param purpose what the signature is good for and nothing else; without a zero byte
 */
export function signatureOf(purpose: string, bytes: Uint8Array, keys: readonly SigningKey[]): string {
  const message = messageOf(purpose, bytes);
  return keys.map((key) => `${keyIdOf(key.publicKey)}=${key.sign(message).toString("base64url")}`).join(", ");
}

/**
 * Whether a line of `signatureOf` is a trusted key's word on these bytes. The first signature whose key is trusted
 * decides, so that a stranger's line costs one verification, whatever it holds.
 *
 * @param trusted public keys, as `SigningKey.publicKey`
 */
export function verdictOn(
  purpose: string,
  bytes: Uint8Array,
  line: string | undefined,
  trusted: readonly string[],
): Verdict {
  const entries = line?.split(", ", MAX_KEYS + 1).map((entry) => ENTRY.exec(entry)) ?? [];
  if (entries.length === 0 || entries.length > MAX_KEYS || entries.includes(null)) return "malformed";
  const keys = new Map(trusted.map((publicKey) => [keyIdOf(publicKey), publicKey]));
  for (const entry of entries) {
    const publicKey = keys.get(entry?.[1] ?? "");
    if (publicKey === undefined) continue;
    const text = entry?.[2] ?? "";
    const signature = Buffer.from(text, "base64url");
    // The last digit holds four bits that decoding drops: one text a signature, or a changed byte goes unseen.
    if (signature.toString("base64url") !== text) return "malformed";
    return isSigned(messageOf(purpose, bytes), signature, publicKey) ? "valid" : "invalid";
  }
  return "untrusted";
}

function messageOf(purpose: string, bytes: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from(`${purpose}\0`, "utf8"), bytes]);
}

function isSigned(message: Buffer, signature: Buffer, x: string): boolean {
  const key = createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x }, format: "jwk" });
  return verify(null, message, key, signature);
}
