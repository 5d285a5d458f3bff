import { cpus } from "node:os";
import { isPinned } from "./pinned.ts";
import type { BenchRow } from "./run.ts";
import { SERVERS } from "./servers.ts";

/** The bounds that the table is held against; see the list below it. */
interface Bound {
  readonly text: string;
  readonly value: number;
  readonly holds: boolean;
}

/** The benchmark as a Markdown page: one table, then each bound with the figure that meets it or does not. */
export function inferencePage(rows: readonly BenchRow[]): string {
  const lines = [
    "# Inference: Naru beside bare handlers and peers",
    "",
    "Written by `npm run bench -- inference`. Do not edit.",
    "",
    `Machine: ${cpus()[0]?.model ?? "unknown"}, ${cpus().length} cores, Node ${process.version}. ` +
      (isPinned
        ? "The server has one core, the load another."
        : "Server and load share the cores (taskset was not found)."),
    "Bare handlers and Naru: medians of three rounds, taken in turn. Peers: one round. One onnxruntime thread everywhere.",
    "`nested` is BentoML's own form of JSON, since it speaks no V2.",
    "",
    "| model | protocol | clients | server | requests/s | p50 ms | p99 ms | CPU µs/request | failed | RSS MB | start ms |",
    "| --- | --- | ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ...rows.map(rowLine),
    "",
    "## Bounds",
    "",
    ...bounds(rows).map(
      (bound) => `- ${bound.holds ? "met" : "**not met**"}: ${bound.text}: ${bound.value.toFixed(2)}`,
    ),
    "",
  ];
  const missing = SERVERS.filter((server) => server.missing !== undefined);
  if (missing.length > 0) lines.push(...missing.map((server) => `Not measured: ${server.missing}`), "");
  return lines.join("\n");
}

function rowLine(row: BenchRow): string {
  const cells = [
    row.model,
    row.protocol,
    row.clients,
    row.server,
    Math.round(row.callsPerSecond),
    row.p50Milliseconds.toFixed(2),
    row.p99Milliseconds.toFixed(2),
    Math.round(row.cpuMicrosecondsPerCall),
    row.failures,
    Math.round(row.residentMegabytes),
    Math.round(row.startMilliseconds),
  ];
  return `| ${cells.join(" | ")} |`;
}

function bounds(rows: readonly BenchRow[]): Bound[] {
  const found: Bound[] = [];
  const at = (model: string, protocol: string, server: string, clients = 32) =>
    rows.find(
      (row) =>
        row.model === model && row.protocol === protocol && row.server === server && row.clients === clients,
    );
  const ratio = (
    text: string,
    over: number | undefined,
    under: number | undefined,
    bound: number,
    kind: "least" | "most",
  ) => {
    if (over === undefined || under === undefined) return;
    const value = over / under;
    found.push({
      text: `${text} (${kind === "least" ? "≥" : "≤"} ${bound})`,
      value,
      holds: kind === "least" ? value >= bound : value <= bound,
    });
  };
  for (const protocol of ["json", "binary", "grpc"]) {
    const bare = at("cnn", protocol, protocol === "grpc" ? "bare grpc-js" : "bare fastify");
    const off = at("cnn", protocol, "Naru, batching off");
    const on = at("cnn", protocol, "Naru");
    ratio(
      `cnn ${protocol}, batching off, requests/s ÷ bare`,
      off?.callsPerSecond,
      bare?.callsPerSecond,
      0.75,
      "least",
    );
    ratio(`cnn ${protocol}, requests/s ÷ bare`, on?.callsPerSecond, bare?.callsPerSecond, 1, "least");
    ratio(`cnn ${protocol}, p99 ÷ bare`, on?.p99Milliseconds, bare?.p99Milliseconds, 2, "most");
    ratio(`cnn ${protocol}, RSS ÷ bare`, on?.residentMegabytes, bare?.residentMegabytes, 1.25, "most");
    ratio(`cnn ${protocol}, batched ÷ unbatched`, on?.callsPerSecond, off?.callsPerSecond, 0.95, "least");
    ratio(
      `gemm-large ${protocol}, batched ÷ unbatched`,
      at("gemm-large", protocol, "Naru")?.callsPerSecond,
      at("gemm-large", protocol, "Naru, batching off")?.callsPerSecond,
      3,
      "least",
    );
  }
  ratio(
    "cnn json, requests/s ÷ MLServer",
    at("cnn", "json", "Naru")?.callsPerSecond,
    at("cnn", "json", "MLServer")?.callsPerSecond,
    4,
    "least",
  );
  ratio("start to first answer, seconds", at("cnn", "json", "Naru")?.startMilliseconds, 1000, 2, "most");
  return found;
}
