import { SERVICE_MONITOR, serviceMonitor } from "../children/service-monitor.ts";
import type { Rule } from "../plan.ts";

/** A ServiceMonitor where it is asked for and the Prometheus operator is there. */
export const monitoring: Rule = (situation, plan) => {
  const settings = situation.spec.observability?.serviceMonitor;
  if (settings === undefined || !settings.enabled || !situation.observed.serves(SERVICE_MONITOR)) return {};
  return { children: [...plan.children, serviceMonitor(situation, settings)] };
};
