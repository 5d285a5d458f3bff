import { cpus } from "node:os";
import { median } from "../median.ts";
import { CONCURRENCY } from "./contenders.ts";
import type { OperatorResult, OperatorRow } from "./result.ts";

interface Measure {
  readonly text: string;
  readonly of: (row: OperatorRow, resources: number) => number;
  readonly digits: number;
}

const MEASURES: readonly Measure[] = [
  { text: "first pass, s", of: (row) => row.firstPass.seconds, digits: 1 },
  { text: "API writes a second in the first pass", of: (row) => row.firstPass.writesPerSecond, digits: 0 },
  { text: "its CPU µs a write", of: (row) => row.firstPass.cpuMicrosecondsPerWrite, digits: 0 },
  { text: "a newcomer waits meanwhile, ms, median", of: (row) => median(row.firstPass.newcomers), digits: 0 },
  { text: "… at most", of: (row) => Math.max(...row.firstPass.newcomers), digits: 0 },
  { text: "no-op reconciles a second", of: (row) => row.noOp.perSecond, digits: 0 },
  { text: "its CPU µs a no-op reconcile", of: (row) => row.noOp.cpuMicroseconds, digits: 0 },
  { text: "API requests of a whole no-op pass", of: (row) => row.noOp.requests, digits: 0 },
  {
    text: "a newcomer waits while the rest resync, ms, median",
    of: (row) => median(row.resync.newcomers),
    digits: 0,
  },
  { text: "… at most", of: (row) => Math.max(...row.resync.newcomers), digits: 0 },
  { text: "restart: to the first reconcile, s", of: (row) => row.noOp.startSeconds, digits: 1 },
  { text: "restart: who came before it is acted on, s", of: (row) => row.resync.cameBefore, digits: 1 },
  { text: "RSS at most in the first pass, MB", of: (row) => row.firstPass.peakMegabytes, digits: 0 },
  { text: "RSS at most in a restart, MB", of: (row) => row.noOp.peakMegabytes, digits: 0 },
  { text: "RSS at rest after garbage collection, MB", of: (row) => row.rest.megabytes, digits: 0 },
  { text: "… after a restart", of: (row) => row.noOp.megabytes, digits: 0 },
  { text: "… without any resource", of: (row) => row.empty.megabytes, digits: 0 },
  {
    text: "… a resource with its children, KB",
    of: (row, resources) => ((row.noOp.megabytes - row.empty.megabytes) * 1024) / resources,
    digits: 1,
  },
  { text: "requests a minute at rest", of: (row) => row.rest.requestsPerMinute, digits: 0 },
  { text: "CPU at rest, % of a core", of: (row) => row.rest.cpuPercent, digits: 1 },
];

/** The benchmark as a Markdown page: a table with the contenders side by side, then the bounds. */
export function operatorPage(result: OperatorResult): string {
  const { rows, resources, apiServer, missing } = result;
  const [ours, peer] = rows;
  const head = ["", ...rows.map(({ name }) => name), ...(peer === undefined ? [] : ["ratio"])];
  return [
    "# Operator: Naru beside controller-runtime",
    "",
    "Written by `npm run bench -- operator`. Do not edit.",
    "",
    `Machine: ${cpus()[0]?.model ?? "unknown"}, ${cpus().length} cores, shared by the contender, etcd, the API server (${apiServer}) and what measures them. ` +
      `${rows.map(({ name, version }) => `${name}: ${version}`).join("; ")}.`,
    "",
    `${resources} ModelServings, each of a model of its own, with seven children each, the contenders one after the other, each on an etcd of its own. ` +
      `Both send the same bytes by server-side apply and a status update, reconcile ${CONCURRENCY} at once, have no limit of their own on requests, and hold a Lease; each is a service account with a token from a file. ` +
      "The peer ([source](../../test/bench/peers/controller-runtime/main.go)) has controller-runtime's defaults, its priority queue included, makes its children of typed objects and compares them with its cache; it decides nothing: no schema is parsed, no condition or revision is worked out. Naru is what its image holds, started as in a pod. What profiles showed, and what was done about it: [ADR 0012](../adr/0012-kubernetes-adapter.md).",
    "",
    `| ${head.join(" | ")} |`,
    `| --- |${head
      .slice(1)
      .map(() => " ---: |")
      .join("")}`,
    ...MEASURES.map((measure) => line(measure, rows, resources)),
    "",
    "A newcomer waits from its creation until its last child is there. No-op reconciles are those after a restart, when every resource is queued and nothing differs; their requests are counted by the API server (`apiserver_request_total`; listings and watches are the start's; one Event says who leads). Requests at rest are the client's own count, the Lease's renewals among them.",
    "",
    ...(ours === undefined || peer === undefined ? [] : ["## Bounds", "", ...bounds(ours, peer), ""]),
    ...missing.map((reason) => `Not measured: ${reason}\n`),
  ].join("\n");
}

function line({ text, of, digits }: Measure, rows: readonly OperatorRow[], resources: number): string {
  const values = rows.map((row) => of(row, resources));
  const [ours, peer] = values;
  const ratio = ours === undefined || peer === undefined ? [] : [peer === 0 ? "" : (ours / peer).toFixed(2)];
  return `| ${[text, ...values.map((value) => value.toFixed(digits)), ...ratio].join(" | ")} |`;
}

function bounds(ours: OperatorRow, peer: OperatorRow): string[] {
  const held = (text: string, value: number, holds: boolean): string =>
    `- ${holds ? "met" : "**not met**"}: ${text}: ${value.toFixed(2)}`;
  const least = (text: string, value: number, bound: number): string =>
    held(`${text} (≥ ${bound})`, value, value >= bound);
  const most = (text: string, value: number, bound: number): string =>
    held(`${text} (≤ ${bound})`, value, value <= bound);
  return [
    most("a newcomer while the rest resync, seconds", Math.max(...ours.resync.newcomers) / 1000, 1),
    most("a newcomer in the first pass, seconds", Math.max(...ours.firstPass.newcomers) / 1000, 1),
    least(
      "API writes a second in the first pass ÷ peer",
      ours.firstPass.writesPerSecond / peer.firstPass.writesPerSecond,
      1,
    ),
    least("no-op reconciles a second ÷ peer", ours.noOp.perSecond / peer.noOp.perSecond, 1),
    most("RSS at most ÷ peer", peakOf(ours) / peakOf(peer), 2),
    most("RSS at rest ÷ peer", ours.rest.megabytes / peer.rest.megabytes, 2),
    most(
      "API requests of a whole no-op pass, beside the Event that says who leads",
      ours.noOp.requests - 1,
      0,
    ),
  ];
}

function peakOf({ firstPass, noOp }: OperatorRow): number {
  return Math.max(firstPass.peakMegabytes, noOp.peakMegabytes);
}
