import type { ChildProcess } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { findProgram } from "../../../scripts/helm.ts";
import { type ArgoCdFiles, findArgoCd, NO_ARGOCD } from "../../support/argocd.ts";
import { eventually } from "../../support/eventually.ts";
import { kubectl, tryKubectl } from "../../support/kubectl.ts";
import { accepts, end, freePort, start } from "../../support/program.ts";
import { missingCluster, type TestCluster, testCluster } from "./cluster.ts";
import { type Namespace, openNamespace } from "./kube.ts";

/** Where docs/install.md and the example's Application take Argo CD to be. */
export const ARGOCD_NAMESPACE = "argocd";
const OURS = { "naru.dev/e2e": "argocd" };
const HEALTH = join(import.meta.dirname, "../../../argocd/argocd-cm.yaml");

const NO_FINALIZERS = JSON.stringify({ metadata: { finalizers: null } });

/** The project that Argo CD's API server, which does not run here, would make. */
const DEFAULT_PROJECT = {
  apiVersion: "argoproj.io/v1alpha1",
  kind: "AppProject",
  metadata: { name: "default" },
  spec: {
    sourceRepos: ["*"],
    destinations: [{ server: "*", namespace: "*" }],
    clusterResourceWhitelist: [{ group: "*", kind: "*" }],
  },
};

/** Why Argo CD can't be run here, or undefined where it can. */
export function missingArgoCd(): string | undefined {
  const cluster = missingCluster();
  if (cluster !== undefined) return cluster;
  if (findArgoCd() === undefined) return NO_ARGOCD;
  const missing = ["redis-server", "git"].filter((name) => findProgram(name) === undefined);
  return missing.length > 0 ? `there is no ${missing.join(" and no ")} on PATH` : undefined;
}

/** Argo CD's programs on this machine, at work on the cluster. */
export interface ArgoCd {
  /** Of its Applications. */
  readonly namespace: Namespace;
  /** Ends them, and takes away what they were installed with. */
  stop(): Promise<void>;
}

/**
 * Installs Argo CD's definitions and its settings as they are by default, teaches it the health of a ModelServing as
 * docs/install.md says, and starts what syncs: neither its API server nor its pages are needed for that.
 * @param settings of argocd-cm that are not the default
 * @throws where the cluster has an Argo CD that is not ours
 */
export async function startArgoCd(settings: Readonly<Record<string, string>>): Promise<ArgoCd> {
  const files = findArgoCd();
  if (files === undefined) throw new Error(NO_ARGOCD);
  const cluster = testCluster();
  await refuseIfInstalled(cluster);
  const namespace = await openNamespace(ARGOCD_NAMESPACE, OURS);
  const folder = await mkdtemp(join(tmpdir(), "naru-e2e-argocd-"));
  const programs: ChildProcess[] = [];
  const stop = async () => {
    // Nobody is left to finish the ones that a test which failed did not remove.
    for (const { metadata } of await namespace.list("applications.argoproj.io").catch(() => []))
      await namespace.run(["patch", "application", metadata.name, "--type=merge", "--patch", NO_FINALIZERS]);
    // The last first: each asks those before it.
    for (const program of programs.reverse()) await end(program);
    await rm(folder, { recursive: true, force: true });
    const definitions = ["--kustomize", files.definitions, "--ignore-not-found", "--timeout", "60s"];
    await kubectl(cluster, ["delete", ...definitions]);
    await namespace.remove();
  };
  try {
    await install(files, namespace);
    const patch = JSON.stringify({ data: settings });
    await namespace.run(["patch", "configmap", "argocd-cm", "--patch", patch]);
    programs.push(...(await startPrograms(files, cluster, folder)));
  } catch (error) {
    await stop();
    throw error;
  }
  return { namespace, stop };
}

async function refuseIfInstalled(cluster: TestCluster): Promise<void> {
  const labels = Object.entries(OURS).map(([key, value]) => `${key}=${value}`);
  const found = (args: readonly string[]) => tryKubectl(cluster, ["get", ...args, "--output", "name"]);
  const definition = await found(["customresourcedefinition", "applications.argoproj.io"]);
  const ours = await found(["namespace", "--selector", labels.join()]);
  if (definition.code === 0 && ours.stdout.trim() === "")
    throw new Error("KUBECONFIG names a cluster on which Argo CD is installed");
}

async function install(files: ArgoCdFiles, namespace: Namespace): Promise<void> {
  await namespace.run(["apply", "--server-side", "--kustomize", files.definitions]);
  for (const kind of ["applications.argoproj.io", "appprojects.argoproj.io"])
    await eventually(`${kind} to be served`, async () => (await namespace.list(kind)).length === 0);
  await namespace.run(["apply", "--kustomize", files.settings]);
  await namespace.run([
    ...["patch", "secret", "argocd-secret", "--patch"],
    JSON.stringify({ stringData: { "server.secretkey": "signs sessions, of which there are none" } }),
  ]);
  await namespace.run(["patch", "configmap", "argocd-cm", "--patch-file", HEALTH]);
  await namespace.apply(DEFAULT_PROJECT);
}

/** Redis, what renders the sources, and what compares and syncs. */
async function startPrograms(
  files: ArgoCdFiles,
  cluster: TestCluster,
  folder: string,
): Promise<ChildProcess[]> {
  const [redis, repository, repositoryMetrics, controllerMetrics] = await Promise.all([
    freePort(),
    freePort(),
    freePort(),
    freePort(),
  ]);
  const environment = (name: string) => ({
    ARGOCD_BINARY_NAME: name,
    // The cluster that Applications call https://kubernetes.default.svc is the one of KUBECONFIG.
    ARGOCD_FAKE_IN_CLUSTER: "true",
    KUBECONFIG: cluster.kubeconfig,
    ARGOCD_GPG_ENABLED: "false",
    ARGOCD_TLS_DATA_PATH: folder,
    ARGOCD_SSH_DATA_PATH: folder,
    ARGOCD_ASK_PASS_SOCK: join(folder, "ask-pass"),
    TMPDIR: folder,
    GIT_CONFIG_GLOBAL: "/dev/null",
    PATH: [files.bin, dirname(cluster.helm), process.env.PATH].join(delimiter),
  });
  const common = ["--redis", `127.0.0.1:${redis}`, "--loglevel", "warn"];
  const programs: ChildProcess[] = [];
  const launch = async (
    port: number,
    command: string,
    args: readonly string[],
    env: Readonly<Record<string, string>> = {},
  ) => {
    const program = start(command, args, env);
    programs.push(program);
    await accepts(port, program);
  };
  try {
    await launch(redis, findProgram("redis-server") ?? "", [
      ...["--port", String(redis), "--bind", "127.0.0.1", "--dir", folder],
      ...["--save", "", "--appendonly", "no"],
    ]);
    await launch(
      repository,
      files.program,
      [
        ...["--address", "127.0.0.1", "--port", String(repository)],
        ...["--metrics-address", "127.0.0.1", "--metrics-port", String(repositoryMetrics), ...common],
      ],
      environment("argocd-repo-server"),
    );
    await launch(
      controllerMetrics,
      files.program,
      [
        ...["--namespace", ARGOCD_NAMESPACE, "--metrics-port", String(controllerMetrics)],
        ...["--repo-server", `127.0.0.1:${repository}`, ...common],
        // Else the health of single resources is told to Argo CD's pages alone.
        "--persist-resource-health",
      ],
      environment("argocd-application-controller"),
    );
  } catch (error) {
    for (const program of programs.reverse()) await end(program);
    throw error;
  }
  return programs;
}
