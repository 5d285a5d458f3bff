/** One graph or table: what it shows, in which unit, and the queries behind it with the name of each line. */
export interface Panel {
  readonly title: string;
  /** What a reader should take from it. */
  readonly description: string;
  /** Grafana's id of a unit. */
  readonly unit: "reqps" | "percentunit" | "s" | "µs" | "short" | "bytes" | "ops";
  readonly queries: readonly Query[];
  /** A table of what is now, in place of a graph: labels with their headings, `Value` last. */
  readonly columns?: Readonly<Record<string, string>>;
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
const HEIGHT = 8;
const WIDTH = { graph: 8, table: 16 };
const DATASOURCE = { type: "prometheus", uid: "$datasource" };

/** The dashboard as Grafana's JSON, graphs three in a row. Ids and places follow from the order alone. */
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
    let x = 0;
    for (const panel of row.panels) {
      const w = panel.columns === undefined ? WIDTH.graph : WIDTH.table;
      if (x + w > COLUMNS) {
        x = 0;
        y += HEIGHT;
      }
      const shown = panel.columns === undefined ? graph(panel) : table(panel, panel.columns);
      panels.push({ id: panels.length + 1, ...shown, gridPos: { x, y, w, h: HEIGHT } });
      x += w;
    }
    y += HEIGHT;
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
      refId: refId(index),
      datasource: DATASOURCE,
      expr,
      legendFormat: legend,
      range: true,
    })),
  };
}

/** The largest values first. */
function table(
  { title, description, unit, queries }: Panel,
  columns: Readonly<Record<string, string>>,
): object {
  const names = Object.keys(columns);
  return {
    type: "table",
    title,
    description,
    datasource: DATASOURCE,
    fieldConfig: { defaults: { unit }, overrides: [] },
    options: { showHeader: true, sortBy: [{ displayName: columns.Value, desc: true }] },
    transformations: [
      {
        id: "organize",
        options: {
          excludeByName: { Time: true },
          indexByName: Object.fromEntries(names.map((name, index) => [name, index])),
          renameByName: columns,
        },
      },
    ],
    targets: queries.map(({ expr }, index) => ({
      refId: refId(index),
      datasource: DATASOURCE,
      expr,
      format: "table",
      instant: true,
      range: false,
    })),
  };
}

function refId(index: number): string {
  return String.fromCharCode("A".charCodeAt(0) + index);
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
