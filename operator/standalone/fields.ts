import { isDeepStrictEqual } from "node:util";
import { itemKeys } from "../engine/list-keys.ts";
import type { KubeObject, ObjectMeta } from "../engine/objects.ts";

/**
 * Server-side apply on plain objects: which manager owns which field, after Kubernetes' own `fieldsV1` notation
 * (`f:NAME` a field, `k:[…]` an item of a keyed list, `v:…` a member of a set, `.` the item itself).
 */
export interface FieldSet {
  readonly [key: string]: FieldSet;
}

type Manager = NonNullable<ObjectMeta["managedFields"]>[number];
type Json = Record<string, unknown>;

const systemMeta = new Set([
  "name",
  "namespace",
  "uid",
  "resourceVersion",
  "generation",
  "creationTimestamp",
  "deletionTimestamp",
  "managedFields",
]);

export function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The items of a list that is merged item by item, by key; undefined for one that is replaced whole. */
function keyedItems(field: string, value: unknown): Map<string, unknown> | undefined {
  if (!Array.isArray(value) || value.length === 0) return undefined;
  if (field === "finalizers") return new Map(value.map((item) => [`v:${JSON.stringify(item)}`, item]));
  const keys = itemKeys(field, value);
  return keys && new Map(keys.map((key, index) => [`k:${key}`, value[index]]));
}

function fieldsIn(field: string, value: unknown): FieldSet {
  const set: Record<string, FieldSet> = {};
  if (isObject(value)) {
    for (const [name, child] of Object.entries(value)) {
      if (child !== undefined) set[`f:${name}`] = fieldsIn(name, child);
    }
  }
  for (const [key, item] of keyedItems(field, value) ?? []) {
    set[key] = isObject(item) ? { ".": {}, ...fieldsIn("", item) } : {};
  }
  return set;
}

/** The fields of an object that a manager who applies it owns; identity and status are nobody's. */
function fieldsOf(object: Readonly<Json>): FieldSet {
  const { apiVersion: _, kind: __, status: ___, metadata, ...rest } = object;
  const meta = Object.entries(isObject(metadata) ? metadata : {}).filter(([name]) => !systemMeta.has(name));
  return fieldsIn("", { ...rest, ...(meta.length > 0 ? { metadata: Object.fromEntries(meta) } : {}) });
}

function keysOf(set: FieldSet): string[] {
  return Object.keys(set).filter((key) => key !== ".");
}

function childOf(value: unknown, field: string, key: string): unknown {
  if (key.startsWith("f:")) return isObject(value) ? value[key.slice(2)] : undefined;
  return keyedItems(field, value)?.get(key);
}

/** What is in `a` and not in `b`. */
function difference(a: FieldSet, b: FieldSet): FieldSet {
  const left: Record<string, FieldSet> = {};
  for (const key of keysOf(a)) {
    const [mine, theirs] = [a[key] ?? {}, b[key]];
    if (theirs === undefined) left[key] = mine;
    else if (keysOf(mine).length > 0) {
      const rest = difference(mine, theirs);
      if (keysOf(rest).length > 0) left[key] = rest;
    }
  }
  return left;
}

/** The fields of both sets whose value changed from `before` to `after`. */
function conflicts(a: FieldSet, b: FieldSet, before: unknown, after: unknown, field = ""): FieldSet {
  const found: Record<string, FieldSet> = {};
  for (const key of keysOf(b)) {
    const [mine, theirs] = [a[key], b[key]];
    if (mine === undefined || theirs === undefined) continue;
    const [was, is] = [childOf(before, field, key), childOf(after, field, key)];
    if (keysOf(mine).length === 0 || keysOf(theirs).length === 0) {
      if (!isDeepStrictEqual(was, is)) found[key] = theirs;
      continue;
    }
    const inner = conflicts(mine, theirs, was, is, key.startsWith("f:") ? key.slice(2) : "");
    if (keysOf(inner).length > 0) found[key] = inner;
  }
  return found;
}

function merged(field: string, live: unknown, applied: unknown): unknown {
  if (isObject(applied) && isObject(live)) {
    const result: Json = { ...live };
    for (const [name, value] of Object.entries(applied)) {
      if (value !== undefined) result[name] = merged(name, live[name], value);
    }
    return result;
  }
  const [liveItems, appliedItems] = [keyedItems(field, live), keyedItems(field, applied)];
  if (liveItems === undefined || appliedItems === undefined) return applied;
  for (const [key, item] of appliedItems) liveItems.set(key, merged("", liveItems.get(key), item));
  return [...liveItems.values()];
}

/** Without the fields of `gone`; a map or list that is left empty by it goes as well. */
function without(field: string, value: unknown, gone: FieldSet): unknown {
  if (keysOf(gone).length === 0) return undefined;
  const items = keyedItems(field, value);
  if (items !== undefined) {
    for (const key of keysOf(gone)) {
      const left = items.has(key) ? without("", items.get(key), gone[key] ?? {}) : undefined;
      if (left === undefined) items.delete(key);
      else items.set(key, left);
    }
    return items.size === 0 ? undefined : [...items.values()];
  }
  if (!isObject(value)) return value;
  const result: Json = { ...value };
  for (const key of keysOf(gone)) {
    const name = key.slice(2);
    if (!(name in result)) continue;
    const left = without(name, result[name], gone[key] ?? {});
    if (left === undefined) delete result[name];
    else result[name] = left;
  }
  return Object.keys(result).length === 0 ? undefined : result;
}

/** Names of the annotations that a manager set. */
export function ownedAnnotations(object: KubeObject, manager: string): ReadonlySet<string> {
  const entry = object.metadata.managedFields?.find((field) => field.manager === manager);
  const fields = (entry?.fieldsV1 ?? {}) as FieldSet;
  return new Set(keysOf(fields["f:metadata"]?.["f:annotations"] ?? {}).map((key) => key.slice(2)));
}

/**
 * `applied` laid over `live` as `manager`, by force. Fields that the manager applied before and no longer does
 * are dropped unless another manager owns them too.
 */
export function applyFields(
  live: KubeObject | undefined,
  applied: KubeObject,
  manager: string,
): { object: KubeObject; takenFrom: string[] } {
  const managers = live?.metadata.managedFields ?? [];
  const setOf = (entry: Manager | undefined) => (entry?.fieldsV1 ?? {}) as FieldSet;
  const wanted = fieldsOf(applied);
  const others = managers.filter((entry) => entry.manager !== manager);
  let dropped = difference(setOf(managers.find((entry) => entry.manager === manager)), wanted);
  for (const other of others) dropped = difference(dropped, setOf(other));

  const { status: _, metadata, ...rest } = applied;
  const { name, namespace } = metadata;
  const meta = Object.entries(metadata).filter(([field]) => !systemMeta.has(field));
  const content = { ...rest, metadata: { name, namespace, ...Object.fromEntries(meta) } };
  let object = merged("", live ?? {}, content) as KubeObject;
  if (keysOf(dropped).length > 0) object = without("", object, dropped) as KubeObject;

  const takenFrom: string[] = [];
  const kept: Manager[] = [];
  for (const other of others) {
    const taken = conflicts(wanted, setOf(other), live, object);
    if (keysOf(taken).length > 0 && other.manager !== undefined) takenFrom.push(other.manager);
    const left = difference(setOf(other), taken);
    if (keysOf(left).length > 0) kept.push({ ...other, fieldsV1: left });
  }
  const managedFields: Manager[] = [...kept, { manager, operation: "Apply", fieldsV1: wanted }];
  return { object: { ...object, metadata: { ...object.metadata, managedFields } }, takenFrom };
}
