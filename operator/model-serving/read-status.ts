import type { z } from "zod";
import { status as schema } from "../../crds/model-serving/status.ts";
import type { ModelServingStatus } from "../../crds/model-serving.ts";

/**
 * Status as it was, which is the memory that decisions have. An operator of another version may have written it, before
 * an upgrade or a step back: what is unknown here is left out, and what can't be read costs its own field alone. Forgetting
 * all of it would promote a canary unseen, and serve a revision that was taken back.
 */
export function readStatus(stored: unknown): ModelServingStatus {
  const whole = schema.safeParse(stored ?? {});
  if (whole.success) return whole.data;
  if (!isFields(stored)) return {};
  const read = Object.entries(schema.shape).flatMap(([name, field]) => {
    const value = readKnown(field, stored[name]);
    return value === undefined ? [] : [[name, value]];
  });
  return Object.fromEntries(read) as ModelServingStatus;
}

/** The value without the fields that the schema does not have; undefined where something else is wrong with it. */
function readKnown(field: z.ZodType, stored: unknown): unknown {
  const first = field.safeParse(stored);
  if (first.success) return first.data;
  const known = structuredClone(stored);
  for (const issue of first.error.issues) {
    if (issue.code !== "unrecognized_keys") return undefined;
    const at = issue.path.reduce<unknown>(
      (inside, step) => (isFields(inside) ? inside[step] : undefined),
      known,
    );
    if (isFields(at)) for (const key of issue.keys) delete at[key];
  }
  return field.safeParse(known).data;
}

function isFields(value: unknown): value is Record<PropertyKey, unknown> {
  return typeof value === "object" && value !== null;
}
