import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import type { Dashboard, Query } from "../../../scripts/dashboards/dashboard.ts";
import { operatorDashboard } from "../../../scripts/dashboards/operator.ts";
import { servingDashboard } from "../../../scripts/dashboards/serving.ts";
import { CHART } from "../../../scripts/helm.ts";

export interface Alert {
  readonly alert: string;
  readonly expr: string;
  readonly annotations: Readonly<Record<string, string>>;
}

/** What a variable of Grafana's stands for when everything is shown: where nothing else is said, the values found. */
function everything(dashboard: Dashboard, variable: string): string {
  return dashboard.variables.find(({ name }) => name === variable)?.all ?? "(naru-system)";
}

/** Every query of a panel, with Grafana's variables as they are when everything is shown. */
export function panelQueries(): { title: string; expr: string }[] {
  return [operatorDashboard, servingDashboard].flatMap((dashboard: Dashboard) =>
    dashboard.rows.flatMap(({ panels }) =>
      panels.flatMap((panel) =>
        panel.queries.map((query: Query) => ({
          title: `${dashboard.title}: ${panel.title}: ${query.legend}`,
          // Of a Prometheus that scrapes every second.
          expr: query.expr
            .replaceAll("$__rate_interval", "10s")
            .replaceAll(/\$(namespace|serving)/g, (_, name: string) => everything(dashboard, name)),
        })),
      ),
    ),
  );
}

/** What the dashboards' own variables are filled from. */
export function variableMetrics(): string[] {
  return [operatorDashboard, servingDashboard].flatMap(({ variables }) =>
    variables.flatMap(({ query }) => {
      const named = /^label_values\((?:(\w+)|\{__name__=~"([\w|]+)")/.exec(query);
      return (named?.[1] ?? named?.[2] ?? query).split("|");
    }),
  );
}

export const ALERTS_FILE = join(CHART, "files/alerts.yaml");

export function alerts(): Alert[] {
  const { groups } = parse(readFileSync(ALERTS_FILE, "utf8")) as { groups: { rules: Alert[] }[] };
  return groups.flatMap(({ rules }) => rules);
}

const WORDS = new Set(
  "sum min max avg count rate by or on and unless group_left group_right histogram_quantile label_replace time absent vector without le".split(
    " ",
  ),
);

/** Names of the metrics that an expression reads. */
export function metricsIn(expression: string): string[] {
  const bare = expression
    .replaceAll(/"[^"]*"/g, "")
    .replaceAll(/\{[^}]*\}/g, "")
    .replaceAll(/\[[^\]]*\]/g, "")
    .replaceAll(/\b(by|without|on|group_left|group_right) *\([^)]*\)/g, "");
  return [...new Set(bare.match(/[a-zA-Z_:][a-zA-Z0-9_:]*/g) ?? [])].filter((word) => !WORDS.has(word));
}

/** Of a histogram's three series, the metadata names the histogram alone. */
export function isDescribed(metric: string, described: ReadonlySet<string>): boolean {
  return described.has(metric) || described.has(metric.replace(/_(bucket|sum|count)$/, ""));
}
