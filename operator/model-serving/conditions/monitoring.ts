import { SERVICE_MONITOR } from "../children/service-monitor.ts";
import { notServed } from "../not-served.ts";
import type { Plan, Situation } from "../plan.ts";
import { type Finding, no, unlisted, yes } from "./finding.ts";

/** Whether Prometheus is told of the pods: not asked where no ServiceMonitor is wanted. */
export function serviceMonitorApplied(situation: Situation, _plan: Plan): Finding | undefined {
  const { spec, observed, failures, name } = situation;
  if (spec.observability?.serviceMonitor?.enabled !== true) return undefined;
  if (observed.hides(SERVICE_MONITOR)) return unlisted(SERVICE_MONITOR);
  if (!observed.serves(SERVICE_MONITOR)) {
    const message = `${notServed(SERVICE_MONITOR)}, so no Prometheus is told of the pods: install the Prometheus operator, or set observability.serviceMonitor.enabled to false`;
    return no({ reason: "KindNotServed", message });
  }
  const refused = failures.find(({ ref }) => ref.kind === SERVICE_MONITOR.kind);
  return refused === undefined
    ? yes("Applied", `ServiceMonitor ${name} is read by each Prometheus that selects it`)
    : no({ reason: `Child${refused.code}`, message: refused.message });
}
