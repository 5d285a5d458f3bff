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
}

/** The schema with its rules: checked by zod after parsing, and emitted as `x-kubernetes-validations`. */
export function withRules<S extends z.ZodType>(schema: S, rules: readonly Rule<z.output<S>>[]): S {
  const checked = schema.superRefine((value, context) => {
    for (const rule of rules) {
      if (!rule.holds(value)) context.addIssue({ code: "custom", message: rule.message });
    }
  });
  return checked.meta({
    ...schema.meta(),
    "x-kubernetes-validations": rules.map(({ cel, message }) => ({ rule: cel, message })),
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
