import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { stringify } from "yaml";
import { eventually } from "../../support/eventually.ts";
import { end, freePort, start } from "../../support/program.ts";

/** What is scraped, with the labels that a ServiceMonitor would give it. */
export interface Target {
  /** `host:port` */
  readonly address: string;
  readonly labels: Readonly<Record<string, string>>;
}

export interface Sample {
  readonly metric: Readonly<Record<string, string>>;
  readonly value: number;
}

/** A Prometheus that scrapes every second, in a folder of its own. */
export interface Prometheus {
  scrape(targets: readonly Target[]): Promise<void>;
  /** @throws Error with what Prometheus says of the expression */
  query(expression: string): Promise<Sample[]>;
  /** Names of all metrics that the targets describe, whether or not there is a sample of them yet. */
  metricNames(): Promise<ReadonlySet<string>>;
  /** What is wrong with each rule: empty, where it could be evaluated. */
  rules(): Promise<{ name: string; health: string; lastError: string }[]>;
  stop(): Promise<void>;
}

/** @param rules path of a file of rules */
export async function startPrometheus(program: string, folder: string, rules: string): Promise<Prometheus> {
  const targets = join(folder, "targets.json");
  const config = {
    global: { scrape_interval: "1s", evaluation_interval: "1s" },
    rule_files: [rules],
    scrape_configs: [{ job_name: "naru", file_sd_configs: [{ files: [targets], refresh_interval: "1s" }] }],
  };
  await writeFile(targets, "[]");
  await writeFile(join(folder, "prometheus.yml"), stringify(config));
  const port = await freePort();
  const server = start(program, [
    `--config.file=${join(folder, "prometheus.yml")}`,
    `--storage.tsdb.path=${join(folder, "data")}`,
    `--web.listen-address=127.0.0.1:${port}`,
    "--log.level=error",
  ]);
  const ask = async (path: string) => {
    const answer = await fetch(`http://127.0.0.1:${port}/api/v1/${path}`);
    const { status, data, error } = (await answer.json()) as {
      status: string;
      data: unknown;
      error?: string;
    };
    if (status !== "success") throw new Error(error ?? `${path}: ${answer.status}`);
    return data;
  };
  try {
    await eventually("Prometheus answers", async () => (await ask("status/buildinfo")) !== undefined, 60_000);
  } catch (thrown) {
    await end(server, "SIGKILL");
    throw thrown;
  }
  return {
    scrape: (wanted) =>
      writeFile(
        targets,
        JSON.stringify(wanted.map(({ address, labels }) => ({ targets: [address], labels }))),
      ),
    async query(expression) {
      const { result } = (await ask(`query?query=${encodeURIComponent(expression)}`)) as {
        result: { metric: Record<string, string>; value: [number, string] }[];
      };
      return result.map(({ metric, value }) => ({ metric, value: Number(value[1]) }));
    },
    async metricNames() {
      const found = (await ask("targets/metadata")) as { metric: string }[];
      return new Set(found.map(({ metric }) => metric));
    },
    async rules() {
      const { groups } = (await ask("rules")) as {
        groups: { rules: { name: string; health: string; lastError?: string }[] }[];
      };
      return groups.flatMap(({ rules: some }) =>
        some.map(({ name, health, lastError = "" }) => ({ name, health, lastError })),
      );
    },
    stop: () => end(server),
  };
}
