import { humanDuration } from "./duration.ts";
import { readPath } from "./json-path.ts";
import type { Column } from "./kinds.ts";

/** Rows under upper-case heads, as kubectl aligns them: three spaces between columns, none at the end. */
export function formatTable(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [heads.map((head) => head.toUpperCase()), ...rows];
  const widths = heads.map((_, index) => Math.max(...lines.map((line) => (line[index] ?? "").length)));
  return lines
    .map((line) =>
      line
        .map((cell, index) => (index === line.length - 1 ? cell : cell.padEnd((widths[index] ?? 0) + 3)))
        .join("")
        .trimEnd(),
    )
    .join("\n");
}

/** What a printer column shows of an object. A date is shown as the time since then. */
export function cellOf(object: unknown, column: Column, now: Date): string {
  if (column.whileDeleted !== undefined && readPath(object, ".metadata.deletionTimestamp") !== undefined) {
    return column.whileDeleted;
  }
  const value = readPath(object, column.jsonPath);
  if (value === undefined || value === null || value === "") return column.type === "date" ? "<unknown>" : "";
  if (column.type === "date") return humanDuration(now.getTime() - Date.parse(String(value)));
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}
