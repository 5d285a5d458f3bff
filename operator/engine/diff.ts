import { canonicalJson, shortHash } from "./canonical.ts";
import { fieldNamesHash } from "./field-names.ts";
import { itemKeys, sameItem } from "./list-keys.ts";
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
export function toApply(wanted: KubeObject, hash = fieldsHash(wanted)): KubeObject {
  const { status: _, ...rest } = wanted;
  const annotations = { ...wanted.metadata.annotations, [APPLIED]: hash };
  return { ...rest, metadata: { ...wanted.metadata, annotations } };
}

/**
 * Whether `observed` lacks anything of `wanted`, or still holds a field that was applied and is wanted no longer.
 *
 * Not noticed, since it looks like a default: a field that somebody adds inside an item of an atomic list.
 * `hash` is the wanted object's own, for a caller that has it already.
 */
export function differs(wanted: KubeObject, observed: KubeObject, hash = fieldsHash(wanted)): boolean {
  return observed.metadata.annotations?.[APPLIED] !== hash || !holds(wanted, observed);
}

/** Whether every field of `wanted` (but status) is in `observed`, with a value that the server stores alike. */
function holds(wanted: KubeObject, observed: KubeObject): boolean {
  for (const field of Object.keys(wanted)) {
    if (field === "status" || field === "metadata") continue;
    if (!holdsValue(wanted[field], observed[field], field, "")) return false;
  }
  const { labels, annotations, ownerReferences } = wanted.metadata;
  return holdsValue({ labels, annotations, ownerReferences }, observed.metadata, "metadata", "");
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

/** Most values are as they are wanted: that is asked first, and what else is alike only of the others. */
function holdsValue(wanted: unknown, observed: unknown, field: string, parent: string): boolean {
  if (wanted === undefined || wanted === observed) return true;
  if (Array.isArray(wanted)) {
    if (Array.isArray(observed) && holdsList(wanted, observed, field)) return true;
  } else if (isMap(wanted)) {
    if (isMap(observed) && holdsMap(wanted, observed, field)) return true;
  } else if (isQuantity(field, parent) && sameQuantity(wanted, observed)) return true;
  return isAbsent(wanted) && isAbsent(observed);
}

function holdsMap(
  wanted: Readonly<Record<string, unknown>>,
  observed: Readonly<Record<string, unknown>>,
  field: string,
): boolean {
  for (const name of Object.keys(wanted)) {
    if (!holdsValue(wanted[name], observed[name], name, field)) return false;
  }
  return true;
}

function holdsList(wanted: readonly unknown[], observed: readonly unknown[], field: string): boolean {
  // In the same order, as nearly always, there is nothing to be looked up.
  const inOrder =
    wanted.length === observed.length &&
    wanted.every(
      (item, index) => sameItem(field, item, observed[index]) && holdsValue(item, observed[index], "", field),
    );
  if (inOrder) return true;
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

/** A hash of the names of the fields that are applied. */
export function fieldsHash(wanted: KubeObject): string {
  const { labels, annotations, ownerReferences } = wanted.metadata;
  const { [APPLIED]: _, ...others } = annotations ?? {};
  const metadata = { labels, annotations: others, ownerReferences };
  return fieldNamesHash({ ...wanted, metadata, status: undefined });
}
