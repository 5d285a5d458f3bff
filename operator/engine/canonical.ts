import { createHash } from "node:crypto";

/**
 * JSON with the keys of every object sorted by code unit and no spaces (RFC 8785 for what Kubernetes objects hold):
 * equal values have equal text. Fields that are undefined are left out, as JSON.stringify does.
 */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(sorted(value)) ?? "null";
}

export function sameJson(a: unknown, b: unknown): boolean {
  return a === b || canonicalJson(a) === canonicalJson(b);
}

/** Kubernetes' own alphabet for hashes in names (apimachinery `SafeEncodeString`): no vowels, so no words. */
const ALPHABET = "bcdfghjklmnpqrstvwxz2456789";

/** 10 characters (47 bits) of the SHA-256 of a text, fit for names and label values. */
export function shortHash(text: string): string {
  let number = createHash("sha256").update(text).digest().readBigUInt64BE();
  const base = BigInt(ALPHABET.length);
  let hash = "";
  while (hash.length < 10) {
    hash += ALPHABET.charAt(Number(number % base));
    number /= base;
  }
  return hash;
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (value === null || typeof value !== "object") return value;
  if ("toJSON" in value && typeof value.toJSON === "function") return value.toJSON();
  // fromEntries defines own properties, so a key "__proto__" stays data.
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, field]) => field !== undefined)
      .sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
      .map(([name, field]) => [name, sorted(field)]),
  );
}
