/** The type of a value whose undefined fields were left out, however deep. */
export type Defined<T> = T extends readonly (infer U)[]
  ? Defined<U>[]
  : T extends object
    ? { [K in keyof T]: Defined<Exclude<T[K], undefined>> }
    : T;

/**
 * A copy without undefined fields, however deep. zod writes an absent field as `undefined` in its types, and
 * Kubernetes' types know only absence.
 */
export function defined<T>(value: T): Defined<T> {
  return strip(value) as Defined<T>;
}

function strip(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(strip);
  if (value === null || typeof value !== "object") return value;
  const fields = value as Readonly<Record<string, unknown>>;
  const names = Object.keys(fields);
  if (names.some((name) => fields[name] === undefined)) {
    const present = names.filter((name) => fields[name] !== undefined);
    return Object.fromEntries(present.map((name) => [name, strip(fields[name])]));
  }
  // A copy whose fields are then replaced costs a third of one that is made of entries, at every reconcile.
  const copy = { ...fields };
  for (const name of names) {
    const field = fields[name];
    if (typeof field === "object") copy[name] = strip(field);
  }
  return copy;
}
