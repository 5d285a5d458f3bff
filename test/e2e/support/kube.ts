import type { KubeObject } from "../../../operator/engine/objects.ts";
import { kubectl, tryKubectl } from "../../support/kubectl.ts";
import { type TestCluster, testCluster } from "./cluster.ts";

/** One namespace of the cluster, driven by kubectl as a user drives it. */
export interface Namespace {
  readonly name: string;
  readonly cluster: TestCluster;
  /** Runs kubectl in the namespace and answers what it printed. */
  run(args: readonly string[], input?: string): Promise<string>;
  /** `kubectl apply` of objects, as users have it by default. */
  apply(...objects: readonly object[]): Promise<void>;
  /** `kubectl apply --server-side`, which has room for objects of more than 256 KiB. */
  serverSideApply(...objects: readonly object[]): Promise<void>;
  get(kind: string, name: string): Promise<KubeObject | undefined>;
  list(kind: string, selector?: Readonly<Record<string, string>>): Promise<readonly KubeObject[]>;
  /** Deletes it with all that is in it, and waits until it is gone. */
  remove(): Promise<void>;
}

/** The namespace of that name, made where it is not there yet. */
export async function openNamespace(name: string, labels: object = {}): Promise<Namespace> {
  const cluster = testCluster();
  const run = async (args: readonly string[], input = "") =>
    (await kubectl(cluster, ["--namespace", name, ...args], input)).stdout;
  const applyWith = async (flags: readonly string[], items: readonly object[]) => {
    const list = JSON.stringify({ apiVersion: "v1", kind: "List", items });
    await run(["apply", ...flags, "--filename", "-"], list);
  };
  const apply = (...items: readonly object[]) => applyWith([], items);
  await apply({ apiVersion: "v1", kind: "Namespace", metadata: { name, labels } });
  return {
    name,
    cluster,
    run,
    apply,
    serverSideApply: (...items) => applyWith(["--server-side", "--force-conflicts"], items),
    async get(kind, object) {
      const text = await run(["get", kind, object, "--ignore-not-found", "--output", "json"]);
      return text.trim() === "" ? undefined : (JSON.parse(text) as KubeObject);
    },
    async list(kind, selector = {}) {
      const labels = Object.entries(selector).map(([key, value]) => `${key}=${value}`);
      const text = await run(["get", kind, "--selector", labels.join(","), "--output", "json"]);
      return (JSON.parse(text) as { items: readonly KubeObject[] }).items;
    },
    async remove() {
      await tryKubectl(cluster, ["delete", "namespace", name, "--ignore-not-found", "--timeout", "180s"]);
    },
  };
}
