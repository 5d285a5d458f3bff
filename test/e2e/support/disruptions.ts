import { exec } from "node:child_process";
import { promisify } from "node:util";
import { eventually } from "../../support/eventually.ts";
import { kubectl, tryKubectl } from "../../support/kubectl.ts";
import { OPERATOR_NAMESPACE } from "./install.ts";
import type { Namespace } from "./kube.ts";
import type { Serving } from "./serving.ts";

const REPLACED_MILLISECONDS = 120_000;

/** Asks for an eviction as `kubectl drain` does. False where the PodDisruptionBudget says no. */
export async function evict(namespace: Namespace, pod: string): Promise<boolean> {
  const eviction = {
    apiVersion: "policy/v1",
    kind: "Eviction",
    metadata: { name: pod, namespace: namespace.name },
  };
  const path = `/api/v1/namespaces/${namespace.name}/pods/${pod}/eviction`;
  const said = await tryKubectl(
    namespace.cluster,
    ["create", "--raw", path, "--filename", "-"],
    JSON.stringify(eviction),
  );
  if (said.code === 0) return true;
  if (said.stderr.includes("disruption budget")) return false;
  throw new Error(`eviction of ${pod}: ${said.stderr}`);
}

/** Waits until as many pods as before are ready, the named one not among them. */
export async function replaced(serving: Serving, pod: string, ready: number): Promise<void> {
  await eventually(
    `${pod} to be replaced`,
    async () => {
      const pods = await serving.pods("inference");
      return pods.every(({ metadata }) => metadata.name !== pod) && serving.status()?.readyReplicas === ready;
    },
    REPLACED_MILLISECONDS,
  );
}

/** Names of the nodes on which pods may start. */
export async function openNodes(namespace: Namespace): Promise<readonly string[]> {
  const nodes = await namespace.list("nodes");
  return nodes
    .filter(({ spec }) => (spec as { unschedulable?: boolean }).unschedulable !== true)
    .map(({ metadata }) => metadata.name);
}

/** The node of one of the serving pods. */
export async function nodeOf(serving: Serving): Promise<string> {
  const [pod] = await serving.pods("inference");
  const node = (pod?.spec as { nodeName?: string } | undefined)?.nodeName;
  if (node === undefined) throw new Error("no serving pod is on a node");
  return node;
}

/** `kubectl drain` of what the namespace has on the node, `meanwhile` a look at what is there then; takes the node back. */
export async function drain(
  namespace: Namespace,
  node: string,
  meanwhile: () => Promise<void>,
): Promise<void> {
  const limit = `--timeout=${REPLACED_MILLISECONDS / 1000}s`;
  try {
    await namespace.run([
      ...["drain", node, "--ignore-daemonsets", "--delete-emptydir-data", limit],
      // Pods of others on the node are not ours to move.
      ...["--pod-selector", "naru.dev/model-serving"],
    ]);
    await meanwhile();
  } finally {
    await namespace.run(["uncordon", node]);
  }
}

/** Name of the operator's pod that leads. */
export async function leader(namespace: Namespace): Promise<string> {
  const holder = await namespace.run([
    ...["get", "lease", "naru-operator", "--namespace", OPERATOR_NAMESPACE],
    ...["--output", "jsonpath={.spec.holderIdentity}"],
  ]);
  return holder.split("_")[0] ?? "";
}

/** SIGKILL: nothing is finished, and the lease is not given back. */
export async function killOperator(namespace: Namespace, pod: string): Promise<void> {
  const at = ["--namespace", OPERATOR_NAMESPACE];
  await kubectl(namespace.cluster, ["delete", "pod", pod, ...at, "--grace-period=0", "--force"]);
}

/** How the kubelet is restarted is the cluster's own: a command of whoever set it up. */
export const RESTART_KUBELET = process.env.NARU_E2E_RESTART_KUBELET;

/** Ends the API server without a word, and begins it again some seconds later: a command of the cluster's own as well. */
export const KILL_API_SERVER = process.env.NARU_E2E_KILL_API_SERVER;

/** Resolves when the API server answers again. */
export async function killApiServer(namespace: Namespace, command: string): Promise<void> {
  await promisify(exec)(command);
  await eventually(
    "the API server to be back",
    async () => (await tryKubectl(namespace.cluster, ["get", "--raw", "/readyz"])).code === 0,
    REPLACED_MILLISECONDS,
  );
}

/** A kubelet asks pods anew that began less than 10 s before it did: `kubeletRestartGracePeriod` of its prober. */
export const KEPT_MILLISECONDS = 15_000;

/** Whether the cluster's kubelets keep what was ready over a restart, as they do from 1.35. */
export async function keepsReadiness(namespace: Namespace): Promise<boolean> {
  const version = await namespace.run([
    ...["get", "nodes", "--output", "jsonpath={.items[0].status.nodeInfo.kubeletVersion}"],
  ]);
  const [, major, minor] = /^v(\d+)\.(\d+)/.exec(version) ?? [];
  return Number(major) > 1 || Number(minor) >= 35;
}

interface ServerStatus {
  readonly restartCount: number;
  readonly state: { readonly running?: { readonly startedAt: string } };
}

async function serversOf(serving: Serving): Promise<readonly (readonly [string, ServerStatus])[]> {
  return (await serving.pods("inference")).flatMap(({ metadata, status }) =>
    (status as { containerStatuses: ServerStatus[] }).containerStatuses.map(
      (server) => [metadata.name, server] as const,
    ),
  );
}

/** Milliseconds since the last of the serving containers began. */
export async function youngest(serving: Serving): Promise<number> {
  const starts = (await serversOf(serving)).map(([, { state }]) =>
    Date.parse(state.running?.startedAt ?? ""),
  );
  return Date.now() - Math.max(...starts);
}

/** Restarts of each serving container, with its pod's name. */
export async function restarts(serving: Serving): Promise<readonly (readonly [string, number])[]> {
  return (await serversOf(serving)).map(([pod, { restartCount }]) => [pod, restartCount] as const);
}

/** Resolves when the kubelet has spoken for its node again. */
export async function restartKubelet(namespace: Namespace, command: string): Promise<void> {
  const heard = async () =>
    namespace.run([
      ...["get", "leases", "--namespace", "kube-node-lease"],
      ...["--output", "jsonpath={.items[*].spec.renewTime}"],
    ]);
  const before = await heard();
  await promisify(exec)(command);
  await eventually(
    "the kubelet to speak again",
    async () => (await heard()) !== before,
    REPLACED_MILLISECONDS,
  );
  await namespace.run(["wait", "nodes", "--all", "--for=condition=Ready", "--timeout=120s"]);
}
