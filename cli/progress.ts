import type { Condition, KubeObject } from "../operator/engine/objects.ts";

/** Conditions whose changes are told, in this order; the others are for `naru describe`. */
const TOLD = ["Ready", "Progressing", "Degraded"];

/**
 * Lines about what has changed in a resource's conditions since `before`: one a condition whose status or reason
 * is another, or whose message is, while it progresses.
 */
export function progressLines(object: KubeObject, before: readonly Condition[]): string[] {
  const lines: string[] = [];
  for (const type of TOLD) {
    const now = conditionsOf(object).find((condition) => condition.type === type);
    const then = before.find((condition) => condition.type === type);
    if (now === undefined || (type !== "Ready" && now.status !== "True" && then?.status !== "True")) continue;
    const same =
      now.status === then?.status &&
      now.reason === then.reason &&
      (now.message === then.message || now.status !== "True" || type === "Ready");
    if (same) continue;
    lines.push(
      `modelserving/${object.metadata.name}  ${type}=${now.status} (${now.reason})${now.message === "" ? "" : `: ${now.message}`}`,
    );
  }
  return lines;
}

export function conditionsOf(object: KubeObject): readonly Condition[] {
  return (object.status as { conditions?: readonly Condition[] } | undefined)?.conditions ?? [];
}
