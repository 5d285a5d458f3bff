import { hash } from "node:crypto";

/**
 * JSON with the keys of every object sorted by code unit and no spaces (RFC 8785 for what Kubernetes objects hold):
 * equal values have equal text. Fields that are undefined are left out, as JSON.stringify does.
 */
export function canonicalJson(value: unknown): string {
  return textOf(value) ?? "null";
}

/** Whether both have the same canonical text, without writing it: this is asked at every reconcile. */
export function sameJson(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (!isPlain(a) || !isPlain(b)) return canonicalJson(a) === canonicalJson(b);
  if (Array.isArray(a) || Array.isArray(b)) {
    if (!Array.isArray(a) || !Array.isArray(b) || a.length !== b.length) return false;
    return a.every((item, index) => sameJson(item ?? null, b[index] ?? null));
  }
  let fields = 0;
  for (const name of Object.keys(a)) {
    if (a[name] === undefined) continue;
    if (!Object.hasOwn(b, name) || b[name] === undefined || !sameJson(a[name], b[name])) return false;
    fields += 1;
  }
  for (const name of Object.keys(b)) if (b[name] !== undefined) fields -= 1;
  return fields === 0;
}

/** Kubernetes' own alphabet for hashes in names (apimachinery `SafeEncodeString`): no vowels, so no words. */
const ALPHABET = "bcdfghjklmnpqrstvwxz2456789";

/** 10 characters (47 bits) of the SHA-256 of a text, fit for names and label values. */
export function shortHash(text: string): string {
  let number = hash("sha256", text, "buffer").readBigUInt64BE();
  const base = BigInt(ALPHABET.length);
  let name = "";
  while (name.length < 10) {
    name += ALPHABET.charAt(Number(number % base));
    number /= base;
  }
  return name;
}

/** Undefined for what JSON leaves out. */
function textOf(value: unknown): string | undefined {
  if (!isPlain(value)) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map((item) => textOf(item) ?? "null").join()}]`;
  let text = "{";
  for (const name of Object.keys(value).sort()) {
    const field = textOf(value[name]);
    if (field === undefined) continue;
    if (text.length > 1) text += ",";
    text += `${JSON.stringify(name)}:${field}`;
  }
  return `${text}}`;
}

/** A list or a map, which have no text of their own as a Date has. */
function isPlain(value: unknown): value is Readonly<Record<string, unknown>> {
  return value !== null && typeof value === "object" && typeof (value as Dated).toJSON !== "function";
}

interface Dated {
  readonly toJSON?: unknown;
}
