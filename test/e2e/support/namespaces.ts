import { inject } from "vitest";
import { type Namespace, openNamespace } from "./kube.ts";
import { CA_CONFIG_MAP } from "./model-store.ts";

/** A namespace that only this run knows, with the model store's certificate. Users' own servers are not `restricted`. */
export async function newNamespace(
  purpose: string,
  standard: "restricted" | "baseline" = "restricted",
): Promise<Namespace> {
  const labels = { "pod-security.kubernetes.io/enforce": standard };
  const namespace = await openNamespace(`naru-e2e-${purpose}-${Date.now().toString(36)}`, labels);
  const data = { "ca.crt": inject("authority") };
  await namespace.apply({ apiVersion: "v1", kind: "ConfigMap", metadata: { name: CA_CONFIG_MAP }, data });
  return namespace;
}
