import { readFile } from "node:fs/promises";
import type { ApiServer } from "./api-server.ts";
import { projectFiles } from "./projected-volume.ts";

/** A service account of a real API server that may do everything, and a folder with what its pods would have. */
export interface MountedServiceAccount {
  readonly folder: string;
  /** What a pod's environment says of the API server. */
  readonly env: { readonly KUBERNETES_SERVICE_HOST: string; readonly KUBERNETES_SERVICE_PORT: string };
  /** A new token; the server takes it as long as the Secret `boundTo` is there, if one is named. */
  token(boundTo?: string): Promise<string>;
  /** Replaces what is in the folder. */
  mount(token: string, authority?: string): Promise<void>;
}

const NAMESPACE = "default";
/** A benchmark takes hours, and nobody renews its token. */
const SECONDS = 24 * 60 * 60;

export async function mountServiceAccount(
  server: ApiServer,
  folder: string,
  name: string,
): Promise<MountedServiceAccount> {
  const post = async (path: string, body: object): Promise<Record<string, unknown>> => {
    const answer = await server.request("POST", path, body);
    if (answer.status !== 201) throw new Error(`POST ${path}: ${answer.status} ${answer.body.message}`);
    return answer.body;
  };
  const core = `/api/v1/namespaces/${NAMESPACE}`;
  await post(`${core}/serviceaccounts`, { metadata: { name } });
  await post("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", {
    metadata: { name },
    roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "cluster-admin" },
    subjects: [{ kind: "ServiceAccount", name, namespace: NAMESPACE }],
  });
  const token = async (boundTo?: string): Promise<string> => {
    const bound = boundTo && { boundObjectRef: { apiVersion: "v1", kind: "Secret", name: boundTo } };
    const { status } = await post(`${core}/serviceaccounts/${name}/token`, {
      spec: { expirationSeconds: SECONDS, ...bound },
    });
    return (status as { token: string }).token;
  };
  const authority = await readFile(server.authority, "utf8");
  const mount = (text: string, ca = authority): Promise<void> =>
    projectFiles(folder, { token: text, "ca.crt": ca, namespace: NAMESPACE });
  await mount(await token());
  const { hostname, port } = new URL(server.url);
  return {
    folder,
    env: { KUBERNETES_SERVICE_HOST: hostname, KUBERNETES_SERVICE_PORT: port },
    token,
    mount,
  };
}
