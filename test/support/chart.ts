import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { parseAllDocuments } from "yaml";
import type { KubeObject } from "../../operator/engine/objects.ts";
import { CHART, findProgram, NO_HELM, renderChart } from "../../scripts/helm.ts";

/** Why there is no helm here, or undefined when there is one. */
export function missingHelm(): string | undefined {
  return findProgram("helm") === undefined ? NO_HELM : undefined;
}

export function helmPath(): string {
  const helm = findProgram("helm");
  if (helm === undefined) throw new Error(NO_HELM);
  return helm;
}

/** The chart's objects, as helm renders them with these arguments. */
export async function rendered(...args: string[]): Promise<KubeObject[]> {
  return objectsIn(await renderChart(helmPath(), args));
}

/** The objects with the values of `charts/naru/ci/NAME-values.yaml`. */
export async function renderedCase(name: string, ...args: string[]): Promise<KubeObject[]> {
  return rendered("--values", join(CHART, "ci", `${name}-values.yaml`), ...args);
}

export async function objectsInFile(path: string): Promise<KubeObject[]> {
  return objectsIn(await readFile(path, "utf8"));
}

function objectsIn(text: string): KubeObject[] {
  return parseAllDocuments(text).map((document) => {
    if (document.errors.length > 0) throw document.errors[0];
    return document.toJS() as KubeObject;
  });
}
