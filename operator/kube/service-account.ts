import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { messageOf } from "../../lib/errors.ts";
import type { Clock } from "../engine/clock.ts";
import type { Connection, Credentials } from "./connection.ts";
import { unusable } from "./connection-unusable.ts";
import { keptCredentials } from "./kept-credentials.ts";

/** Where the kubelet keeps a pod's own token, the API server's authority, and the namespace's name up to date. */
export const SERVICE_ACCOUNT_FOLDER = "/var/run/secrets/kubernetes.io/serviceaccount";

/**
 * The API server as a pod is told of it, asked as the pod's service account. Kubernetes' own client can read these
 * files too, and loads six hundred models for that.
 * @throws NaruError KubeConfigUnusable
 */
export async function openServiceAccount(
  folder: string,
  env: Readonly<NodeJS.ProcessEnv>,
  clock: Clock,
): Promise<Connection> {
  const url = apiServerOf(env);
  const credentials = keptCredentials(() => credentialsIn(folder), clock);
  await credentials();
  return { url, credentials };
}

function apiServerOf(env: Readonly<NodeJS.ProcessEnv>): string {
  const host = variable(env, "KUBERNETES_SERVICE_HOST");
  const port = variable(env, "KUBERNETES_SERVICE_PORT");
  const url = `https://${host.includes(":") ? `[${host}]` : host}:${port}`;
  if (!URL.canParse(url)) throw unusable("service account", `${url} is no address`);
  return url;
}

function variable(env: Readonly<NodeJS.ProcessEnv>, name: string): string {
  const value = env[name];
  if (value === undefined || value === "") throw unusable("service account", `${name} is not set`);
  return value;
}

async function credentialsIn(folder: string): Promise<Credentials> {
  const [token, ca] = await Promise.all([textOf(join(folder, "token")), textOf(join(folder, "ca.crt"))]);
  return { headers: { Authorization: `Bearer ${token}` }, tls: { ca } };
}

async function textOf(file: string): Promise<string> {
  const text = await readFile(file, "utf8").catch((thrown: unknown) => {
    throw unusable("service account", messageOf(thrown), thrown);
  });
  // A token's file may end in a line break, which no header can hold.
  const trimmed = text.trim();
  if (trimmed === "") throw unusable("service account", `${file} is empty`);
  return trimmed;
}
