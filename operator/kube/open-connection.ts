import { existsSync } from "node:fs";
import { join } from "node:path";
import { type Clock, systemClock } from "../engine/clock.ts";
import type { Connection } from "./connection.ts";
import { openServiceAccount, SERVICE_ACCOUNT_FOLDER } from "./service-account.ts";

export interface ConnectionOptions {
  /** A kubeconfig file; by default what kubectl takes (`KUBECONFIG`, `~/.kube/config`), then the pod's own token. */
  readonly kubeconfig?: string;
  readonly context?: string;
  /** A folder with a service account's token and ca.crt, which goes before every kubeconfig. */
  readonly serviceAccountFolder?: string;
  readonly clock?: Clock;
}

/**
 * By the options, else as kubectl and client-go choose: a kubeconfig goes before the pod's own service account.
 * @throws NaruError KubeConfigUnusable
 */
export async function openConnection(options: ConnectionOptions = {}): Promise<Connection> {
  const { kubeconfig, context, clock = systemClock } = options;
  const folder = options.serviceAccountFolder ?? podFolder(options, process.env);
  if (folder !== undefined) return openServiceAccount(folder, process.env, clock);
  // Kubernetes' own client takes half a second and up to 50 MB to load: only for those who need it.
  const { openKubeconfig } = await import("./kubeconfig.ts");
  return openKubeconfig(
    { ...(kubeconfig === undefined ? {} : { kubeconfig }), ...(context === undefined ? {} : { context }) },
    clock,
  );
}

/** Where a pod has its token, unless a kubeconfig is asked for or is in its usual place, or this is no pod. */
export function podFolder(
  { kubeconfig, context }: ConnectionOptions,
  env: Readonly<NodeJS.ProcessEnv>,
  folder = SERVICE_ACCOUNT_FOLDER,
): string | undefined {
  if (kubeconfig !== undefined || context !== undefined) return undefined;
  if (isSet(env.KUBECONFIG)) return undefined;
  if (env.HOME !== undefined && existsSync(join(env.HOME, ".kube/config"))) return undefined;
  const isPod = isSet(env.KUBERNETES_SERVICE_HOST) || existsSync(join(folder, "token"));
  return isPod ? folder : undefined;
}

/** An empty variable says nothing, to client-go too. */
function isSet(value: string | undefined): boolean {
  return value !== undefined && value !== "";
}
