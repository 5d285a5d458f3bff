import { readdir, readFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { CHART, renderChart } from "./helm.ts";

const HEADER = "# Generated from charts/naru by npm run generate. Do not edit.\n";

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

/** What follows from the chart by helm: the renderings that reviews look at, and the plain manifest. */
export async function chartRenderings(helm: string): Promise<Map<string, string>> {
  const files = new Map<string, string>();
  for (const file of (await readdir(CASES)).sort()) {
    const name = basename(file, "-values.yaml");
    // Definitions are compared with crds/ already, and would hide everything else.
    const args = ["--values", join(CASES, file), "--set", "crds.enabled=false"];
    files.set(`test/conformance/renderings/${name}.yaml`, HEADER + (await renderChart(helm, args)));
  }
  files.set("deploy/naru.yaml", await plainManifest(helm));
  return files;
}

/** Everything with the default values, for kubectl alone and as a base for kustomize. */
async function plainManifest(helm: string): Promise<string> {
  const namespace = await readFile(join(CHART, "../../deploy/namespace.yaml"), "utf8");
  const objects = await renderChart(helm, ["--no-hooks"]);
  // Nothing of it is Helm's: no release is there that could be upgraded.
  const own = objects
    .replaceAll("app.kubernetes.io/managed-by: Helm", "app.kubernetes.io/managed-by: kubectl")
    .replaceAll(/^ {2}annotations:\n {4}helm\.sh\/resource-policy: keep\n/gm, "");
  return `${HEADER}${namespace}---\n${own}`;
}
