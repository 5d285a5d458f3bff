/** One graph: what it shows, in which unit, and the queries behind it with the name of each line. */
export interface Panel {
  readonly title: string;
  /** What a reader should take from it. */
  readonly description: string;
  /** Grafana's id of a unit. */
  readonly unit: "reqps" | "percentunit" | "s" | "µs" | "short" | "bytes" | "ops";
  readonly queries: readonly Query[];
}

export interface Query {
  readonly expr: string;
  /** With `{{label}}` for a label's value. */
  readonly legend: string;
}

export interface Variable {
  readonly name: string;
  readonly label: string;
  /** `label_values(METRIC, LABEL)`. */
  readonly query: string;
  /** What "All" stands for as a regular expression; absent: one of the values that were found. */
  readonly all?: string;
}

export interface Dashboard {
  readonly uid: string;
  readonly title: string;
  readonly description: string;
  readonly variables: readonly Variable[];
  readonly rows: readonly { readonly title: string; readonly panels: readonly Panel[] }[];
}

const COLUMNS = 24;
const PANEL = { w: 8, h: 8 };
const DATASOURCE = { type: "prometheus", uid: "$datasource" };

/** The dashboard as Grafana's JSON, panels three in a row. Ids and places follow from the order alone. */
export function grafanaJson(dashboard: Dashboard): string {
  const panels: object[] = [];
  let y = 0;
  for (const row of dashboard.rows) {
    panels.push({
      id: panels.length + 1,
      type: "row",
      title: row.title,
      gridPos: { x: 0, y, w: COLUMNS, h: 1 },
    });
    y += 1;
    for (const [index, panel] of row.panels.entries()) {
      const x = (index * PANEL.w) % COLUMNS;
      if (index > 0 && x === 0) y += PANEL.h;
      panels.push({ id: panels.length + 1, ...graph(panel), gridPos: { x, y, ...PANEL } });
    }
    y += PANEL.h;
  }
  const { uid, title, description, variables } = dashboard;
  return `${JSON.stringify(
    {
      uid,
      title,
      description,
      tags: ["naru"],
      schemaVersion: 39,
      timezone: "browser",
      refresh: "30s",
      time: { from: "now-1h", to: "now" },
      templating: { list: [datasource(), ...variables.map(variable)] },
      panels,
    },
    null,
    2,
  )}\n`;
}

function graph({ title, description, unit, queries }: Panel): object {
  return {
    type: "timeseries",
    title,
    description,
    datasource: DATASOURCE,
    fieldConfig: { defaults: { unit, min: 0 }, overrides: [] },
    options: {
      legend: { displayMode: "list", placement: "bottom" },
      tooltip: { mode: "multi", sort: "desc" },
    },
    targets: queries.map(({ expr, legend }, index) => ({
      refId: String.fromCharCode("A".charCodeAt(0) + index),
      datasource: DATASOURCE,
      expr,
      legendFormat: legend,
      range: true,
    })),
  };
}

function datasource(): object {
  return { name: "datasource", label: "Data source", type: "datasource", query: "prometheus" };
}

function variable({ name, label, query, all }: Variable): object {
  return {
    name,
    label,
    type: "query",
    datasource: DATASOURCE,
    query: { query, refId: name },
    refresh: 2,
    includeAll: true,
    multi: true,
    ...(all === undefined ? {} : { allValue: all }),
    current: { text: "All", value: "$__all" },
  };
}
