import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { ApiServer } from "../../support/api-server.ts";
import { mountServiceAccount } from "../../support/service-account.ts";

/** One service account in the two ways in which contenders take it: to authenticate them costs the server the same. */
export interface Access {
  /** What the kubelet would mount into a pod. */
  readonly folder: string;
  /** What a pod's environment says of the API server. */
  readonly env: Readonly<Record<string, string>>;
  /** With the same token, read from the same file. */
  readonly kubeconfig: string;
}

export async function openAccess(server: ApiServer, scratch: string): Promise<Access> {
  const folder = join(scratch, "serviceaccount");
  const { env } = await mountServiceAccount(server, folder, "contender");
  const kubeconfig = join(scratch, "kubeconfig");
  const cluster = { server: server.url, "certificate-authority": join(folder, "ca.crt") };
  await writeFile(
    kubeconfig,
    JSON.stringify({
      apiVersion: "v1",
      kind: "Config",
      clusters: [{ name: "bench", cluster }],
      users: [{ name: "contender", user: { tokenFile: join(folder, "token") } }],
      contexts: [{ name: "bench", context: { cluster: "bench", user: "contender", namespace: "default" } }],
      "current-context": "bench",
    }),
  );
  return { folder, env, kubeconfig };
}
