import type { z } from "zod";

/**
 * One rule between fields, written twice: as CEL for the API server and as a predicate for zod (standalone,
 * `naru validate`, tests). One test feeds both with the same cases, so that they cannot drift apart.
 */
export interface Rule<T> {
  /** True for a valid value; `self` is the value of the schema that carries the rule. */
  readonly cel: string;
  /** Says what to change. */
  readonly message: string;
  /** The same rule as `cel`. */
  readonly holds: (value: T) => boolean;
  /** Field, from `self`, that the error points at; absent: `self`. */
  readonly at?: readonly string[];
}

/** The schema with its rules: checked by zod after parsing, and emitted as `x-kubernetes-validations`. */
export function withRules<S extends z.ZodType>(schema: S, rules: readonly Rule<z.output<S>>[]): S {
  const checked = schema.superRefine((value, context) => {
    for (const rule of rules) {
      if (!rule.holds(value)) {
        context.addIssue({ code: "custom", message: rule.message, path: [...(rule.at ?? [])] });
      }
    }
  });
  const before = schema.meta() ?? {};
  return checked.meta({
    ...before,
    "x-kubernetes-validations": [
      ...(Array.isArray(before["x-kubernetes-validations"]) ? before["x-kubernetes-validations"] : []),
      ...rules.map(({ cel, message, at }) => ({
        rule: cel,
        message,
        ...(at === undefined ? {} : { fieldPath: `.${at.join(".")}` }),
      })),
    ],
  });
}

/** How many of the named fields are present. */
export function countPresent(value: object, fields: readonly string[]): number {
  return fields.filter((field) => (value as Record<string, unknown>)[field] !== undefined).length;
}

/** CEL for "exactly one of the fields is present". */
export function celExactlyOne(fields: readonly string[]): string {
  return `[${fields.map((field) => `has(self.${field})`).join(", ")}].filter(x, x).size() == 1`;
}

/** CEL for "at most one of the fields is present". */
export function celAtMostOne(fields: readonly string[]): string {
  return `[${fields.map((field) => `has(self.${field})`).join(", ")}].filter(x, x).size() <= 1`;
}

/**
 * The rule that a field of a list's items rises from item to item. CEL has no index in its macros, so the rule
 * counts over as many positions as the list may have.
 */
export function rising<K extends string>(
  field: K,
  maxItems: number,
  message: string,
): Rule<readonly Record<K, number>[]> {
  const positions = Array.from({ length: maxItems - 1 }, (_, index) => index).join(", ");
  return {
    cel: `[${positions}].all(i, i + 1 >= self.size() || self[i].${field} < self[i + 1].${field})`,
    message,
    holds: (list) =>
      list.every((item, index) => {
        const next = list[index + 1];
        return next === undefined || item[field] < next[field];
      }),
  };
}

/**
 * A list whose items are told apart by one field, so that server-side apply merges it by that field
 * (`x-kubernetes-list-type: map`). The API server refuses duplicates of such a list; so does zod.
 */
export function keyedList<T extends Record<K, string>, K extends string, S extends z.ZodType<readonly T[]>>(
  list: S,
  key: K,
  message: string,
): S {
  const keyed = withRules(list, [
    {
      cel: `self.all(a, self.exists_one(b, b.${key} == a.${key}))`,
      message,
      holds: (items) => new Set(items.map((item) => item[key])).size === items.length,
    },
  ]);
  return keyed.meta({
    ...keyed.meta(),
    "x-kubernetes-list-type": "map",
    "x-kubernetes-list-map-keys": [key],
  });
}

/** A list of strings without duplicates (`x-kubernetes-list-type: set`). */
export function setOf<S extends z.ZodType<readonly string[]>>(list: S): S {
  const unique = withRules(list, [
    {
      cel: "self.all(a, self.exists_one(b, b == a))",
      message: "the list names one thing twice: remove one of the two",
      holds: (items) => new Set(items).size === items.length,
    },
  ]);
  return unique.meta({ ...unique.meta(), "x-kubernetes-list-type": "set" });
}
