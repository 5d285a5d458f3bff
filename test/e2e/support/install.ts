import { CHART, runHelm } from "../../../scripts/helm.ts";
import { tryKubectl } from "../../support/kubectl.ts";
import type { TestCluster } from "./cluster.ts";
import { OPERATOR_IMAGE, RUNTIME_IMAGE } from "./images.ts";

export const RELEASE = "naru";
export const OPERATOR_NAMESPACE = "naru-system";

/** Runs helm on the cluster in the operator's namespace and answers what it printed. */
export function helmOn(cluster: TestCluster, args: readonly string[]): Promise<string> {
  return runHelm(cluster.helm, [...args, "--namespace", OPERATOR_NAMESPACE], {
    KUBECONFIG: cluster.kubeconfig,
  });
}

/** Installs the chart as docs/install.md says, or upgrades to this one, and waits until the operator is ready. */
export async function installChart(cluster: TestCluster, more: readonly string[] = []): Promise<void> {
  const image = (value: string, reference: string) => {
    const [repository, tag] = reference.split(":");
    return ["--set", `${value}.repository=${repository}`, "--set", `${value}.tag=${tag}`];
  };
  await helmOn(cluster, [
    ...["upgrade", RELEASE, CHART, "--install", "--create-namespace", "--wait", "--timeout", "180s"],
    ...image("image", OPERATOR_IMAGE),
    ...image("runtimeImage", RUNTIME_IMAGE),
    ...more,
  ]);
}

/**
 * Refuses a cluster on which somebody is served: the tests take the definition away, and with it all that is served.
 */
export async function refuseIfServing(cluster: TestCluster): Promise<void> {
  const columns = "jsonpath={range .items[*]}{.metadata.namespace}/{.metadata.name}{'\\n'}{end}";
  const said = await tryKubectl(cluster, ["get", "modelservings", "--all-namespaces", "--output", columns]);
  // Not served as a kind: nothing was ever installed.
  const others = said.stdout.split("\n").filter((line) => line !== "" && !line.startsWith("naru-e2e-"));
  if (said.code === 0 && others.length > 0)
    throw new Error(`KUBECONFIG names a cluster on which somebody is served: ${others.join(", ")}`);
}

/** Takes the operator away with its namespace, and the definitions, which the chart leaves. */
export async function uninstallChart(cluster: TestCluster): Promise<void> {
  await helmOn(cluster, ["uninstall", RELEASE, "--wait", "--ignore-not-found"]);
  const definition = ["customresourcedefinition", "modelservings.naru.dev"];
  for (const object of [definition, ["namespace", OPERATOR_NAMESPACE]])
    await tryKubectl(cluster, ["delete", ...object, "--ignore-not-found", "--timeout", "120s"]);
}
