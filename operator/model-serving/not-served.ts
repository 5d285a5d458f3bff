import type { ObjectKind } from "../engine/objects.ts";

/** Why a kind is left out. Which of these it is can't be told: its watch begins in none of the cases. */
export function notServed({ kind, apiVersion }: ObjectKind): string {
  return `this cluster does not serve ${kind} (${apiVersion}), does not let the operator read it, or is not able to list it`;
}
