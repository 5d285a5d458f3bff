const HEADER = "# Generated from argocd/resource_customizations by npm run generate. Do not edit.";

/**
 * A health check as Argo CD's settings take it: as a patch of its ConfigMap, and as values of its Helm chart.
 * @param kind of the group `naru.dev`
 */
export function argocdSettings(kind: string, script: string): Map<string, string> {
  const key = `resource.customizations.health.naru.dev_${kind}: |`;
  const patch = [
    HEADER,
    "# kubectl --namespace argocd patch configmap argocd-cm --patch-file argocd/argocd-cm.yaml",
    // Named as a whole, so that kustomize and `argocd admin settings` take it too.
    "apiVersion: v1",
    "kind: ConfigMap",
    "metadata:",
    "  name: argocd-cm",
    "data:",
    ...indented([key, ...indented(linesOf(script))]),
  ];
  const values = [
    HEADER,
    "# Values of the argo-cd chart.",
    "configs:",
    "  cm:",
    ...indented(indented([key, ...indented(linesOf(script))])),
  ];
  return new Map([
    ["argocd/argocd-cm.yaml", `${patch.join("\n")}\n`],
    ["argocd/argo-cd-values.yaml", `${values.join("\n")}\n`],
  ]);
}

function linesOf(script: string): string[] {
  return script.trimEnd().split("\n");
}

function indented(lines: readonly string[]): string[] {
  return lines.map((line) => (line === "" ? "" : `  ${line}`));
}
