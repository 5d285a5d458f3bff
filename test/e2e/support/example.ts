import { join } from "node:path";
import { stringify } from "yaml";
import type { KubeObject } from "../../../operator/engine/objects.ts";
import { CHART } from "../../../scripts/helm.ts";
import { objectsInFile } from "../../support/chart.ts";
import type { GitRepository } from "./git-repository.ts";
import { OPERATOR_IMAGE, RUNTIME_IMAGE } from "./images.ts";
import { storedModel } from "./model-store.ts";

const EXAMPLE = join(import.meta.dirname, "../../../argocd/example");

/** Where the example's Application looks for the chart and for models. */
const CHART_PATH = "charts/naru";
export const MODELS_PATH = "argocd/example/models";

interface ApplicationSpec {
  readonly sources: readonly object[];
  readonly syncPolicy: object;
}

/** `spec` of the example's Application, with the images of the tests, and this repository. */
export async function exampleSpec(git: GitRepository, syncOptions: readonly string[]): Promise<object> {
  const [application] = await objectsInFile(join(EXAMPLE, "application.yaml"));
  const spec = application?.spec as unknown as ApplicationSpec;
  const [chart, models] = spec.sources;
  const image = (reference: string) => {
    const [repository, tag] = reference.split(":");
    return { repository, tag };
  };
  const valuesObject = { image: image(OPERATOR_IMAGE), runtimeImage: image(RUNTIME_IMAGE) };
  return {
    ...spec,
    sources: [
      { ...chart, repoURL: git.url, helm: { valuesObject } },
      { ...models, repoURL: git.url },
    ],
    syncPolicy: { ...spec.syncPolicy, syncOptions },
  };
}

/** `spec` of an Application of one folder of manifests, under the same policy. */
export async function folderSpec(
  git: GitRepository,
  path: string,
  namespace: string,
  syncOptions: readonly string[],
): Promise<object> {
  const { sources: _two, ...spec } = (await exampleSpec(git, syncOptions)) as ApplicationSpec & {
    destination: object;
  };
  return {
    ...spec,
    destination: { ...spec.destination, namespace },
    source: { repoURL: git.url, targetRevision: "main", path },
  };
}

/** The chart and the example's models, which are fetched from the tests' store into a namespace of theirs. */
export async function writeExample(git: GitRepository, namespace: string): Promise<void> {
  await git.copy(CHART, CHART_PATH);
  for (const name of ["digits", "digits-pair"]) await writeModel(git, namespace, name);
}

/** @param change of `spec` */
export async function writeModel(
  git: GitRepository,
  namespace: string,
  name: string,
  change: object = {},
): Promise<void> {
  const [model] = await objectsInFile(join(EXAMPLE, "models", `${name}.yaml`));
  if (model === undefined) throw new Error(`the example has no ${name}`);
  const { metadata, spec } = fromStore(model);
  const quick = { termination: { preStopSeconds: 2, drainSeconds: 2 } };
  const manifest = {
    ...model,
    metadata: { ...metadata, namespace },
    spec: { ...(spec as object), ...quick, ...change },
  };
  await git.write(`${MODELS_PATH}/${name}.yaml`, stringify(manifest));
}

/** Models at the example's addresses by the same models of the store. */
function fromStore(manifest: KubeObject): KubeObject {
  return JSON.parse(JSON.stringify(manifest), (_key, value: unknown) => {
    const { uri } = (value ?? {}) as { uri?: string };
    const version = typeof uri === "string" ? /\/digits\/(\d)\/model\.onnx$/.exec(uri)?.[1] : undefined;
    return version === undefined ? value : { ...(value as object), ...storedModel(`v${version}`) };
  }) as KubeObject;
}
