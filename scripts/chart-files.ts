import { readdir, readFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { CHART, renderChart } from "./helm.ts";

const HEADER = "# Generated from charts/naru by npm run generate. Do not edit.\n";

const WITHOUT_DEFINITIONS = ["--set", "crds.enabled=false"];

/** Where the values files are whose renderings are kept. */
const CASES = join(CHART, "ci");

/**
 * A definition as a template of the chart: made where `crds.enabled`, and outliving the release where `crds.keep`.
 * @throws Error if the manifest has text that Helm would take for a template, or no `metadata` of the known form
 */
export function definitionTemplate(manifest: string): string {
  if (manifest.includes("{{")) throw new Error("the definition has {{ in it, which Helm would evaluate");
  const metadata = /^metadata: *\{ *name: *([^ }]+) *\}$|^metadata:\n {2}name: (\S+)$/m;
  const name = metadata.exec(manifest)?.slice(1).find(Boolean);
  if (name === undefined) throw new Error("the definition's metadata is not its name alone");
  const templated = manifest.replace(
    metadata,
    [
      "metadata:",
      `  name: ${name}`,
      '  labels: {{- include "naru.labels" . | nindent 4 }}',
      "  {{- if .Values.crds.keep }}",
      "  annotations:",
      "    helm.sh/resource-policy: keep",
      "  {{- end }}",
    ].join("\n"),
  );
  return `{{- if .Values.crds.enabled }}\n${templated}{{- end }}\n`;
}

/**
 * What follows from the chart by helm: the renderings that reviews look at, and the plain manifest. Definitions are in
 * neither: they follow from crds/ without helm, and would hide everything else.
 */
export async function chartRenderings(helm: string): Promise<Map<string, string>> {
  const files = new Map<string, string>();
  for (const file of (await readdir(CASES)).sort()) {
    const name = basename(file, "-values.yaml");
    const objects = await renderChart(helm, ["--values", join(CASES, file), ...WITHOUT_DEFINITIONS]);
    files.set(`test/conformance/renderings/${name}.yaml`, HEADER + objects);
  }
  files.set("deploy/naru.yaml", await plainManifest(helm));
  return files;
}

/** Everything else with the default values, for kubectl alone and as a base for kustomize. */
async function plainManifest(helm: string): Promise<string> {
  const namespace = await readFile(join(CHART, "../../deploy/namespace.yaml"), "utf8");
  const objects = await renderChart(helm, ["--no-hooks", ...WITHOUT_DEFINITIONS]);
  // Nothing of it is Helm's: no release is there that could be upgraded.
  const own = objects.replaceAll("managed-by: Helm", "managed-by: kubectl");
  return `${HEADER}${namespace}---\n${own}`;
}
