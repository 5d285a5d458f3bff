import { mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { customResourceDefinition, type KindDefinition } from "../crds/manifest.ts";
import { modelServingDefinition } from "../crds/model-serving/definition.ts";
import { modelServing } from "../crds/model-serving.ts";
import { argocdSettings } from "./argocd-files.ts";
import { chartRenderings, definitionTemplate } from "./chart-files.ts";
import { grafanaJson } from "./dashboards/dashboard.ts";
import { operatorDashboard } from "./dashboards/operator.ts";
import { servingDashboard } from "./dashboards/serving.ts";
import { errorsPage, errorsUnder } from "./errors-page.ts";
import { findProgram, NO_HELM } from "./helm.ts";
import { lineDiff } from "./line-diff.ts";
import { manifestYaml } from "./manifest-yaml.ts";
import { referencePage } from "./reference-page.ts";

/**
 * Writes everything that follows from crds/, charts/ and argocd/, and the table of errors. `--check` writes nothing: it
 * compares, prints what differs and exits with 1, so that a commit cannot hold a schema and a manifest that disagree.
 */
const root = resolve(import.meta.dirname, "..");
const kinds = [{ definition: modelServingDefinition as KindDefinition, schema: modelServing }];

async function outputs(): Promise<Map<string, string>> {
  const files = new Map<string, string>();
  const definitions: string[] = [];
  for (const { definition, schema } of kinds) {
    const manifest = customResourceDefinition(definition, schema);
    const version = manifest.spec.versions[0];
    if (version === undefined) throw new Error(`${definition.kind} has no version`);
    const example = await readFile(resolve(root, `crds/examples/${definition.singular}.yaml`), "utf8");
    const yaml = manifestYaml(manifest);
    files.set(`crds/manifests/${definition.group}_${definition.plural}.yaml`, yaml);
    definitions.push(yaml);
    files.set(`charts/naru/templates/crds/${definition.plural}.yaml`, definitionTemplate(yaml));
    files.set(
      `docs/reference/${definition.singular}.md`,
      referencePage(definition, version.schema.openAPIV3Schema, example),
    );
  }
  files.set("deploy/crds.yaml", definitions.join("---\n"));
  for (const { definition } of kinds) {
    const script = `argocd/resource_customizations/${definition.group}/${definition.kind}/health.lua`;
    const settings = argocdSettings(definition.kind, await readFile(resolve(root, script), "utf8"));
    for (const [name, text] of settings) files.set(name, text);
  }
  const errors = await errorsUnder(root, ["lib", "runtimes", "operator", "cli"]);
  files.set("docs/reference/errors.md", errorsPage(errors));
  const dashboards = { operator: operatorDashboard, serving: servingDashboard };
  for (const [name, dashboard] of Object.entries(dashboards)) {
    files.set(`charts/naru/files/dashboards/${name}.json`, grafanaJson(dashboard));
  }
  return files;
}

async function current(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return "";
    throw error;
  }
}

const check = process.argv.includes("--check");
let stale = 0;

async function settle(files: ReadonlyMap<string, string>): Promise<void> {
  for (const [name, wanted] of files) {
    const path = resolve(root, name);
    const found = await current(path);
    if (found === wanted) continue;
    stale += 1;
    if (check) {
      console.log(lineDiff(name, found, wanted));
    } else {
      await mkdir(dirname(path), { recursive: true });
      await writeFile(path, wanted);
      console.log(`wrote ${name}`);
    }
  }
}

await settle(await outputs());
// After the templates that it reads are written.
const helm = findProgram("helm");
if (helm === undefined) console.log(`skipped: what helm renders of charts/naru: ${NO_HELM}`);
else await settle(await chartRenderings(helm));

if (check && stale > 0) {
  console.error(
    `error: ${stale} generated file(s) differ from their sources\n  fix: npm run generate, then commit them`,
  );
  process.exitCode = 1;
}
