import type { ObjectKind } from "../engine/objects.ts";

/** Why a kind is left out. Whether it is missing or forbidden can't be told apart: its watch begins in neither case. */
export function notServed({ kind, apiVersion }: ObjectKind): string {
  return `this cluster does not serve ${kind} (${apiVersion}), or does not let the operator read it`;
}
