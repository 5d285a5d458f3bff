import type { Track } from "./names.ts";

export const SERVING_LABEL = "naru.dev/model-serving";
export const ROLE_LABEL = "naru.dev/role";
export const TRACK_LABEL = "naru.dev/track";
export const NODE_LABEL = "naru.dev/node";

export type Role = "inference" | "router" | "step";

/** What every child carries. */
export function commonLabels(name: string): Record<string, string> {
  return {
    "app.kubernetes.io/name": "naru",
    "app.kubernetes.io/managed-by": "naru-operator",
    "app.kubernetes.io/instance": name,
    [SERVING_LABEL]: name,
  };
}

/** Selects the pods of a role; a revision is never in it, since a Deployment's selector can't change. */
export function selectorOf(name: string, role: Role, track?: Track, node?: string): Record<string, string> {
  return {
    [SERVING_LABEL]: name,
    [ROLE_LABEL]: role,
    ...(track === undefined ? {} : { [TRACK_LABEL]: track }),
    ...(node === undefined ? {} : { [NODE_LABEL]: node }),
  };
}

/** A label selector as text, as `/scale` and kubectl want it. */
export function selectorText(selector: Readonly<Record<string, string>>): string {
  return Object.entries(selector)
    .map(([key, value]) => `${key}=${value}`)
    .join(",");
}
