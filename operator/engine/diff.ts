import { canonicalJson, shortHash } from "./canonical.ts";
import { fieldNamesHash } from "./field-names.ts";
import { itemKeys } from "./list-keys.ts";
import type { KubeObject } from "./objects.ts";
import { sameQuantity } from "./quantity.ts";

/**
 * Whether what is wanted has to be applied. What was observed always holds more: fields that the API server
 * defaulted, and other managers' fields. So only the fields that are wanted are looked at (a projection), which
 * cannot show that a field was given up. For that, what is applied carries a hash of the set of its fields.
 *
 * The hash is over names, not values: a changed value is seen by the projection, and a value that was copied from
 * the observed object (replicas under an autoscaler) must not cause a write when somebody else changes it.
 */
export const APPLIED = "naru.dev/applied";

/** The object as it is sent: complete, without status, and with the hash of its fields. */
export function toApply(wanted: KubeObject): KubeObject {
  const { status: _, ...rest } = wanted;
  const annotations = { ...wanted.metadata.annotations, [APPLIED]: fieldsHash(wanted) };
  return { ...rest, metadata: { ...wanted.metadata, annotations } };
}

/**
 * Whether `observed` lacks anything of `wanted`, or still holds a field that was applied and is wanted no longer.
 *
 * Not noticed, since it looks like a default: a field that somebody adds inside an item of an atomic list.
 */
export function differs(wanted: KubeObject, observed: KubeObject): boolean {
  return observed.metadata.annotations?.[APPLIED] !== fieldsHash(wanted) || !holds(wanted, observed);
}

/** Whether every field of `wanted` (but status) is in `observed`, with a value that the server stores alike. */
function holds(wanted: KubeObject, observed: KubeObject): boolean {
  const { labels, annotations, ownerReferences } = wanted.metadata;
  const metadata = { labels, annotations, ownerReferences };
  return Object.entries({ ...wanted, metadata, status: undefined }).every(([field, value]) =>
    holdsValue(value, observed[field], field, ""),
  );
}

/**
 * What `observed` has in the place of each field of `wanted`, as a hash. Two answers are equal exactly if `differs`
 * would see the same values: for telling "the server writes this value in its own way" from "somebody changed it".
 */
export function projectionHash(wanted: KubeObject, observed: KubeObject): string {
  const { labels, annotations, ownerReferences } = wanted.metadata;
  const metadata = { labels, annotations, ownerReferences };
  return shortHash(canonicalJson(project({ ...wanted, metadata, status: undefined }, observed, "")));
}

function holdsValue(wanted: unknown, observed: unknown, field: string, parent: string): boolean {
  if (wanted === undefined) return true;
  if (isAbsent(wanted) && isAbsent(observed)) return true;
  if (Array.isArray(wanted)) return Array.isArray(observed) && holdsList(wanted, observed, field);
  if (isMap(wanted)) {
    return (
      isMap(observed) &&
      Object.entries(wanted).every(([name, value]) => holdsValue(value, observed[name], name, field))
    );
  }
  return wanted === observed || (isQuantity(field, parent) && sameQuantity(wanted, observed));
}

function holdsList(wanted: readonly unknown[], observed: readonly unknown[], field: string): boolean {
  const keys = itemKeys(field, wanted);
  const observedKeys = itemKeys(field, observed);
  if (keys === undefined || observedKeys === undefined) {
    return (
      wanted.length === observed.length &&
      wanted.every((item, index) => holdsValue(item, observed[index], "", field))
    );
  }
  const byKey = new Map(observedKeys.map((key, index) => [key, observed[index]]));
  return wanted.every((item, index) => holdsValue(item, byKey.get(keys[index] ?? ""), "", field));
}

function project(wanted: unknown, observed: unknown, field: string): unknown {
  if (Array.isArray(wanted) && Array.isArray(observed)) {
    const keys = itemKeys(field, wanted);
    const observedKeys = itemKeys(field, observed);
    if (keys === undefined || observedKeys === undefined) {
      return observed.map((item, index) => (index < wanted.length ? project(wanted[index], item, "") : item));
    }
    const byKey = new Map(observedKeys.map((key, index) => [key, observed[index]]));
    return wanted.map((item, index) => project(item, byKey.get(keys[index] ?? ""), ""));
  }
  if (isMap(wanted) && isMap(observed)) {
    return Object.fromEntries(
      Object.entries(wanted).map(([name, value]) => [name, project(value, observed[name], name)]),
    );
  }
  return observed;
}

/** Servers drop lists and maps that hold nothing, and null means absent, so all of these are one. */
function isAbsent(value: unknown): boolean {
  if (value === undefined || value === null) return true;
  if (Array.isArray(value)) return value.length === 0;
  return isMap(value) && Object.values(value).every(isAbsent);
}

function isMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

const QUANTITY_MAPS = new Set(["limits", "requests", "capacity", "hard", "overhead"]);
const QUANTITIES = new Set(["sizeLimit", "averageValue", "divisor"]);

/** The places where servers rewrite quantities to their canonical form. An int-or-string is never rewritten. */
function isQuantity(field: string, parent: string): boolean {
  return QUANTITY_MAPS.has(parent) || QUANTITIES.has(field) || (parent === "target" && field === "value");
}

/** By object: a child is compared before it is sent, sent, and compared with the answer. */
const known = new WeakMap<KubeObject, string>();

/** A hash of the names of the fields that are applied. */
function fieldsHash(wanted: KubeObject): string {
  const found = known.get(wanted);
  if (found !== undefined) return found;
  const { labels, annotations, ownerReferences } = wanted.metadata;
  const { [APPLIED]: _, ...others } = annotations ?? {};
  const metadata = { labels, annotations: others, ownerReferences };
  const hash = fieldNamesHash({ ...wanted, metadata, status: undefined });
  known.set(wanted, hash);
  return hash;
}
