import type { Rule, Told } from "../plan.ts";

/** Events about what changes beside a rollout, by comparison with what status said before. */
export const tellChanges: Rule = ({ before, refusal }, plan) => {
  const events: Told[] = [];
  const was = before.effective;
  if (was !== undefined && was.routing !== plan.routing) {
    const to = plan.routing === "Router" ? "the routers" : "the pods themselves";
    events.push({ type: "Normal", reason: "RoutingChanged", message: `The Service leads to ${to} now` });
  }
  if (was !== undefined && was.replicas !== plan.replicas && (was.replicas === 0 || plan.replicas === 0)) {
    events.push(
      plan.replicas === 0
        ? { type: "Normal", reason: "ScaledToZero", message: "Idle for long enough: the last pod leaves" }
        : { type: "Normal", reason: "ScaledFromZero", message: `${plan.replicas} pods are wanted again` },
    );
  }
  const told = before.conditions?.some(
    ({ type, reason, message }) =>
      type === "Degraded" && reason === refusal?.reason && message === refusal.message,
  );
  if (refusal !== undefined && told !== true) events.push({ type: "Warning", ...refusal });
  return { events: [...plan.events, ...events] };
};
