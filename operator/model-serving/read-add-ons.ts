import { z } from "zod";
import type { KubeObject } from "../engine/objects.ts";
import { cut } from "../engine/text.ts";
import type { ObservedRoute, ObservedScaler } from "./observed.ts";

/** Reads what others' controllers say of our children: autoscalers and Gateways. What is no condition counts as none. */

const conditions = z.array(
  z.object({
    type: z.string(),
    status: z.string(),
    reason: z.string().default(""),
    message: z.string().default(""),
    observedGeneration: z.number().optional(),
  }),
);
const scalerStatus = z.object({ conditions: conditions.default([]) });
const routeStatus = z.object({
  parents: z
    .array(
      z.object({
        parentRef: z.object({ name: z.string(), namespace: z.string().optional() }),
        conditions: conditions.default([]),
      }),
    )
    .default([]),
});

/** Status shows them; a stranger's controller must not fill it. */
const LONGEST = 1024;

/** The conditions that say whether a count can be computed and set, of an HPA and of a ScaledObject. */
const SCALING: Readonly<Record<string, readonly string[]>> = {
  HorizontalPodAutoscaler: ["AbleToScale", "ScalingActive"],
  ScaledObject: ["Ready"],
};

export function readScaler({ kind, status }: KubeObject): ObservedScaler {
  const all = scalerStatus.safeParse(status ?? {}).data?.conditions ?? [];
  const asked = (SCALING[kind] ?? []).map((type) => all.find((condition) => condition.type === type));
  const failing = asked.find((condition) => condition?.status === "False");
  if (failing !== undefined) {
    const { reason, message } = failing;
    return {
      kind,
      active: false,
      reason: cut(reason, LONGEST) || "NotReady",
      message: cut(message, LONGEST),
    };
  }
  const active = asked.every((condition) => condition?.status === "True");
  return { kind, active: active ? true : undefined, reason: "", message: "" };
}

export function readRoute({ kind, status, metadata }: KubeObject): ObservedRoute {
  const { namespace = "", generation = 0 } = metadata;
  const parents = routeStatus.safeParse(status ?? {}).data?.parents ?? [];
  const verdicts = parents.flatMap(({ parentRef, conditions }) =>
    conditions
      .filter(({ type }) => type === "Accepted" || type === "ResolvedRefs")
      // An answer to what the route was before says nothing of what it is.
      .filter(({ observedGeneration = generation }) => observedGeneration >= generation)
      .map(({ status: verdict, reason, message }) => ({
        gateway: gatewayOf(parentRef, namespace),
        status: verdict,
        reason: cut(reason, LONGEST) || "NotAccepted",
        message: cut(message, LONGEST),
      })),
  );
  return { kind, verdicts };
}

/** `namespace/name` of the Gateway that a route in `namespace` names. */
export function gatewayOf(
  parentRef: { readonly name: string; readonly namespace?: string | undefined },
  namespace: string,
): string {
  return `${parentRef.namespace ?? namespace}/${parentRef.name}`;
}
