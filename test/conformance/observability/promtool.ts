import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { stringify } from "yaml";
import { findProgram } from "../../../scripts/helm.ts";
import { ALERTS_FILE } from "./expressions.ts";

export const promtool = findProgram("promtool");

/** Series, minute by minute, in promtool's notation (`0+60x9`: from 0, 60 more each, nine times). */
export type Series = Readonly<Record<string, string>>;

/** What an expression gives at a time such as `50m`, in promtool's words. */
export interface Expected {
  readonly expr: string;
  readonly eval_time: string;
  readonly exp_samples: readonly { readonly labels: string; readonly value: number }[];
}

/** Evaluates expressions over series, the chart's alerts beside. Rejects with what promtool says where one differs. */
export async function evaluate(series: Series, expected: readonly Expected[]): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "naru-promtool-"));
  const file = join(folder, "test.yml");
  const tests = {
    rule_files: [ALERTS_FILE],
    evaluation_interval: "1m",
    tests: [
      {
        interval: "1m",
        input_series: Object.entries(series).map(([name, values]) => ({ series: name, values })),
        promql_expr_test: expected,
      },
    ],
  };
  try {
    await writeFile(file, stringify(tests));
    await promisify(execFile)(promtool ?? "", ["test", "rules", file]).catch(
      (thrown: { stdout?: string; stderr?: string }) => {
        throw new Error(`${thrown.stdout ?? ""}${thrown.stderr ?? ""}`);
      },
    );
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
