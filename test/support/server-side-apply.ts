import { canonicalJson } from "../../operator/engine/canonical.ts";
import { itemKeys } from "../../operator/engine/list-keys.ts";

/** Server-side apply for the memory cluster: which manager holds which fields, and what an apply makes of them. */

/** A step into a map by field name, or into a keyed list by the item's key. */
type Step = { field: string } | { item: string };
interface Leaf {
  readonly path: readonly Step[];
  readonly value: unknown;
}
/** The leaves that a manager holds, by the text of their path. */
export type FieldSet = ReadonlyMap<string, Leaf>;

type Fields = Record<string, unknown>;

export function fieldsOf(object: object): FieldSet {
  const leaves = new Map<string, Leaf>();
  collect(object, [], "", leaves);
  return leaves;
}

export function applyFields(
  stored: object,
  applied: object,
  manager: string,
  holders: ReadonlyMap<string, FieldSet>,
): { object: Fields; holders: Map<string, FieldSet>; takenFrom: string[] } {
  const wanted = fieldsOf(applied);
  const others = [...holders].filter(([name]) => name !== manager);
  const left = new Map<string, FieldSet>();
  const takenFrom: string[] = [];
  for (const [name, fields] of others) {
    const kept = [...fields].filter(([path, leaf]) => {
      const ours = wanted.get(path);
      return ours === undefined || canonicalJson(ours.value) === canonicalJson(leaf.value);
    });
    if (kept.length < fields.size) takenFrom.push(name);
    left.set(name, new Map(kept));
  }
  const object = merge(stored, applied, "") as Fields;
  const holding = [wanted, ...others.map(([, fields]) => fields)];
  const isHeld = (path: readonly Step[]): boolean => holding.some((fields) => holdsIn(fields, path));
  for (const { path } of holders.get(manager)?.values() ?? []) {
    // A list item that nobody holds goes as a whole, with what the server defaulted in it.
    const item = path.findIndex((step, depth) => "item" in step && !isHeld(path.slice(0, depth + 1)));
    if (item >= 0) remove(object, path.slice(0, item + 1));
    else if (!isHeld(path)) remove(object, path);
  }
  left.set(manager, wanted);
  return { object, holders: left, takenFrom };
}

/** Whether the set holds the path, or a leaf below it. */
function holdsIn(fields: FieldSet, path: readonly Step[]): boolean {
  const text = JSON.stringify(path);
  const below = `${text.slice(0, -1)},`;
  return fields.has(text) || [...fields.keys()].some((held) => held.startsWith(below));
}

function collect(value: unknown, path: readonly Step[], field: string, leaves: Map<string, Leaf>): void {
  if (value === undefined) return;
  const keys = Array.isArray(value) ? itemKeys(field, value) : undefined;
  if (Array.isArray(value) && keys !== undefined && value.length > 0) {
    keys.forEach((item, index) => {
      collect(value[index], [...path, { item }], "", leaves);
    });
  } else if (isMap(value) && Object.keys(value).length > 0) {
    for (const [name, item] of Object.entries(value)) collect(item, [...path, { field: name }], name, leaves);
  } else {
    leaves.set(JSON.stringify(path), { path, value });
  }
}

function merge(stored: unknown, applied: unknown, field: string): unknown {
  if (isMap(stored) && isMap(applied)) {
    const merged = { ...stored };
    for (const [name, value] of Object.entries(applied)) {
      if (value !== undefined) merged[name] = merge(stored[name], value, name);
    }
    return merged;
  }
  if (Array.isArray(stored) && Array.isArray(applied)) {
    const appliedKeys = itemKeys(field, applied);
    const storedKeys = itemKeys(field, stored);
    if (appliedKeys === undefined || storedKeys === undefined) return structuredClone(applied);
    const inOrder = appliedKeys.map((key, index) =>
      merge(stored[storedKeys.indexOf(key)], applied[index], ""),
    );
    return [...inOrder, ...stored.filter((_, index) => !appliedKeys.includes(storedKeys[index] ?? ""))];
  }
  return structuredClone(applied);
}

/** Takes a leaf out, and the maps and list items that it leaves empty. */
function remove(object: Fields, path: readonly Step[]): void {
  const visit = (value: unknown, depth: number, field: string): unknown => {
    const step = path[depth];
    if (step === undefined) return undefined;
    if ("field" in step && isMap(value)) {
      const rest = visit(value[step.field], depth + 1, step.field);
      const { [step.field]: _, ...others } = value;
      const kept: Fields = rest === undefined ? others : { ...others, [step.field]: rest };
      return Object.keys(kept).length === 0 ? undefined : kept;
    }
    if ("item" in step && Array.isArray(value)) {
      const keys = itemKeys(field, value) ?? [];
      const kept = value.flatMap((item, index) => {
        const rest = keys[index] === step.item ? visit(item, depth + 1, "") : item;
        return rest === undefined ? [] : [rest];
      });
      return kept.length === 0 ? undefined : kept;
    }
    return value;
  };
  const first = path[0];
  if (first === undefined || !("field" in first)) return;
  const rest = visit(object[first.field], 1, first.field);
  if (rest === undefined) delete object[first.field];
  else object[first.field] = rest;
}

function isMap(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
