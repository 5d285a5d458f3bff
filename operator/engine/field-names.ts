import { itemKeys } from "./list-keys.ts";

/**
 * A hash of the names of all fields of a value, as server-side apply owns them: maps by name, items of keyed lists by
 * their key, those of atomic lists by their place; nothing for what is undefined or null. The order of fields is nothing
 * to it: each field's path is hashed by itself, and the hashes are added, so that nothing has to be sorted or written
 * down, since this is asked of every child at every reconcile. A name that takes the place of another goes unseen once
 * in four billion times.
 */
export function fieldNamesHash(value: unknown): string {
  return sumOf(value, "", SEED).toString(36);
}

const SEED = 0x811c9dc5;
const LEAF = 1;
const LIST = 2;
const MAP = 3;

/**
 * Lists of a pod that hold most of its fields. They come from a kept revision as they are: the same list at each
 * reconcile, and one for all resources that run the same program (the cache shares what is equal). Nobody writes into
 * what a cache or a decision gave, so a list's sum stays true; it is kept for each place where the list was met.
 */
const KEPT_LISTS = new Set(["containers", "initContainers"]);
const kept = new WeakMap<readonly unknown[], { path: number; sum: number }[]>();

function keptSumOf(list: readonly unknown[], field: string, path: number): number {
  const places = kept.get(list) ?? [];
  const known = places.find((place) => place.path === path);
  if (known !== undefined) return known.sum;
  const sum = sumOfList(list, field, path);
  kept.set(list, [...places, { path, sum }]);
  return sum;
}

/** Exact below two million fields: each adds 32 bits at most to a number that holds 53. */
function sumOf(value: unknown, field: string, path: number): number {
  if (value === undefined || value === null) return 0;
  if (typeof value !== "object") return mixed(path, LEAF);
  if (!Array.isArray(value)) {
    let sum = mixed(path, MAP);
    const fields = value as Readonly<Record<string, unknown>>;
    for (const name of Object.keys(fields)) sum += sumOf(fields[name], name, along(path, name));
    return sum;
  }
  return KEPT_LISTS.has(field) ? keptSumOf(value, field, path) : sumOfList(value, field, path);
}

function sumOfList(value: readonly unknown[], field: string, path: number): number {
  const keys = itemKeys(field, value);
  let sum = mixed(path, keys === undefined ? LIST : MAP);
  for (let index = 0; index < value.length; index++) {
    const step = keys?.[index];
    const own = step === undefined ? mixed(path, index) : along(path, step);
    sum += sumOf(value[index], "", own);
  }
  return sum;
}

/** FNV-1a over UTF-16 code units, from the path so far. */
function along(path: number, name: string): number {
  let hash = path;
  for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193);
  // Ends the name, so that `ab` below nothing is not `b` below `a`.
  return mixed(hash, name.length);
}

/** MurmurHash3's finalizer: 32 bits, unsigned. */
function mixed(hash: number, salt: number): number {
  let bits = Math.imul(hash ^ salt, 0x9e3779b1);
  bits = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b);
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35);
  return (bits ^ (bits >>> 16)) >>> 0;
}
