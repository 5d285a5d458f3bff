import type { Condition, ObjectKind } from "../../engine/objects.ts";
import type { Plan, Situation } from "../plan.ts";

/** What a condition says. */
export interface Finding {
  readonly status: Condition["status"];
  /** CamelCase. */
  readonly reason: string;
  readonly message: string;
}

/** Answers a condition's question; undefined: it is not asked of this resource. */
export type Judge = (situation: Situation, plan: Plan) => Finding | undefined;

export function yes(reason: string, message: string): Finding {
  return { status: "True", reason, message };
}

export function no({ reason, message }: { reason: string; message: string }): Finding {
  return { status: "False", reason, message };
}

export function unknown(reason: string, message: string): Finding {
  return { status: "Unknown", reason, message };
}

/** Of a kind that is hidden: nothing is done about it. */
export function unlisted({ kind, apiVersion }: ObjectKind): Finding {
  return unknown(
    "KindNotListed",
    `the API server fails to list ${kind} (${apiVersion}), as when a conversion webhook is gone: what there is of it stays as it is`,
  );
}
