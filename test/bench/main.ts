import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { benchInference } from "./inference/run.ts";
import { inferencePage } from "./inference/table.ts";
import { benchOperator } from "./operator/run.ts";
import { operatorPage } from "./operator/table.ts";
import { soak, soakPage } from "./soak/run.ts";

/**
 * `npm run bench [-- COMPONENT…] [--quick]`: measures, prints one table a component and writes it to
 * docs/benchmarks. A quick run only shows that the benchmark works: it writes nothing.
 */
const COMPONENTS: Readonly<Record<string, (quick: boolean) => Promise<string>>> = {
  inference: async (quick) => inferencePage(await benchInference({ quick }, (line) => console.error(line))),
  operator: async (quick) => operatorPage(await benchOperator(quick, (line) => console.error(line))),
  soak: async (quick) => soakPage(await soak(quick, (line) => console.error(line))),
};

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { quick: { type: "boolean", default: false } },
});
for (const name of positionals.length > 0 ? positionals : Object.keys(COMPONENTS)) {
  const bench = COMPONENTS[name];
  if (bench === undefined)
    throw new Error(`no benchmark ${name}: choose from ${Object.keys(COMPONENTS).join(", ")}`);
  const page = await bench(values.quick);
  console.log(page);
  if (values.quick) continue;
  const folder = join(import.meta.dirname, "../../docs/benchmarks");
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, `${name}.md`), page);
}
