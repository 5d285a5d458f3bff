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
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, field]) => field !== undefined)
      .map(([name, field]) => [name, strip(field)]),
  );
}
