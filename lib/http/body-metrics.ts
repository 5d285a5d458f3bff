import type { Metrics } from "../telemetry/metrics.ts";
import type { BodyBudget } from "./body-budget.ts";

/** What a program holds of its clients' bodies, under the same names in each program. */
export function registerBodyMetrics(metrics: Metrics, budget: BodyBudget): void {
  const one = (value: number) => [{ labels: {}, value }];
  metrics.scraped("naru_body_bytes", "Bytes of bodies that are held, now.", "gauge", () => one(budget.held));
  metrics.scraped("naru_body_bytes_limit", "Bytes of bodies that may be held at once.", "gauge", () =>
    one(budget.limit),
  );
  metrics.scraped(
    "naru_body_refused_total",
    "Times that a request was refused, or a copy of it dropped, since too many bytes of bodies were held.",
    "counter",
    () => one(budget.refused),
  );
}
