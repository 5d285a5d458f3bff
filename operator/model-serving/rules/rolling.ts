import type { Rule } from "../plan.ts";
import { isSettled } from "../workloads.ts";

/**
 * Without a canary, what `spec` asks for replaces the pods in place. The revision is the stable one when every pod
 * is of it and ready, not before: until then status names what served last.
 */
export const rollingUpdate: Rule = (situation, plan) => {
  const { stable, serving, canary, replicas, events } = plan;
  if (canary !== undefined || serving.name === stable?.name) return {};
  if (!isSettled(situation, "stable", serving, replicas)) return {};
  const first = stable === undefined;
  const message = first ? `revision ${serving.name} serves` : `every pod is of revision ${serving.name}`;
  return {
    stable: serving,
    lastRollout: {
      revision: serving.name,
      result: "Promoted",
      reason: first ? "FirstRollout" : "RollingUpdate",
      message,
      finishedAt: situation.now.toISOString(),
    },
    events: [
      ...events,
      { type: "Normal", reason: "RolloutComplete", message: `Revision ${serving.name}: ${message}` },
    ],
  };
};
