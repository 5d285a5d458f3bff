import { Gauge, type Registry } from "prom-client";
import type { ConditionCensus } from "./condition-census.ts";

/**
 * Resources that are named one by one, for each kind and condition; the others are only counted. Where so many are not
 * well, no list of them helps anybody.
 */
export const MOST_NAMED = 500;

/** Shows a census until what it answers is called. */
export type ShowConditions = (census: ConditionCensus) => () => void;

/**
 * Registers what conditions of resources say. Once a registry.
 *
 * - Only a controller that works shows any, so one replica does: conditions are the word of whoever leads, a standby
 *   that is cut off would go on telling an old one, and an alert would count each resource once a replica. While nobody
 *   leads nothing is told; that alarms by itself.
 * - The value is when the condition came to be so. "For an hour" is then a difference to now, which neither a new leader
 *   nor a new Prometheus lets begin anew.
 * - A resource costs a series only while something of it is not as it should be.
 * - `resource_namespace`, since `namespace` is by custom the label of the pod that is scraped, and which of the two
 *   wins depends on how it is scraped.
 */
export function conditionMetrics(registry: Registry): ShowConditions {
  const registers = [registry];
  const shown = new Set<ConditionCensus>();
  new Gauge({
    name: "naru_resource_conditions",
    help: "Resources, by status of a condition",
    labelNames: ["kind", "condition", "status"] as const,
    registers,
    collect() {
      this.reset();
      for (const census of shown) {
        for (const { type } of census.conditions) {
          for (const [status, count] of Object.entries(census.counts(type))) {
            this.set({ kind: census.kind, condition: type, status }, count);
          }
        }
      }
    },
  });
  new Gauge({
    name: "naru_resource_condition_since_timestamp_seconds",
    help: "When a condition of a resource came to be what it is, only where that is not as it should be",
    labelNames: ["kind", "resource_namespace", "name", "condition", "status", "reason"] as const,
    registers,
    collect() {
      this.reset();
      for (const census of shown) {
        for (const known of census.conditions) {
          for (const { namespace, name, status, reason, since } of census.amiss(known, MOST_NAMED)) {
            const resource = { kind: census.kind, resource_namespace: namespace, name };
            this.set({ ...resource, condition: known.type, status, reason }, since);
          }
        }
      }
    },
  });
  new Gauge({
    name: "naru_resource_conditions_left_out",
    help: "Resources whose condition is not as it should be and that are not named, being too many",
    labelNames: ["kind", "condition"] as const,
    registers,
    collect() {
      this.reset();
      for (const census of shown) {
        for (const { type, wanted } of census.conditions) {
          if (wanted === undefined) continue;
          const count = Math.max(0, census.amissCount(type) - MOST_NAMED);
          this.set({ kind: census.kind, condition: type }, count);
        }
      }
    },
  });
  return (census) => {
    shown.add(census);
    return () => void shown.delete(census);
  };
}
