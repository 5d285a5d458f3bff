import type { RequestOptions } from "node:https";
import { KubeConfig } from "@kubernetes/client-node";
import { messageOf } from "../../lib/errors.ts";
import type { Clock } from "../engine/clock.ts";
import type { Connection, Credentials, TlsOptions } from "./connection.ts";
import { unusable } from "./connection-unusable.ts";
import { keptCredentials } from "./kept-credentials.ts";

export interface KubeconfigOptions {
  /** By default what kubectl takes (`KUBECONFIG`, `~/.kube/config`). */
  readonly kubeconfig?: string;
  readonly context?: string;
}

/**
 * The API server that a kubeconfig names. The only file that imports Kubernetes' own client, and itself loaded only
 * where there is a kubeconfig.
 * @throws NaruError KubeConfigUnusable
 */
export function openKubeconfig(options: KubeconfigOptions, clock: Clock): Connection {
  let config = load(options);
  const server = config.getCurrentCluster()?.server;
  if (server === undefined) throw unusable("kubeconfig", "its current context names no cluster");
  return {
    url: server.replace(/\/+$/, ""),
    credentials: keptCredentials(async (anew) => {
      // The client keeps a token for a minute, whatever the server says to it.
      if (anew) config = load(options);
      return credentialsOf(config);
    }, clock),
  };
}

function load({ kubeconfig, context }: KubeconfigOptions): KubeConfig {
  const config = new KubeConfig();
  try {
    if (kubeconfig === undefined) config.loadFromDefault();
    else config.loadFromFile(kubeconfig);
  } catch (thrown) {
    throw unusable("kubeconfig", messageOf(thrown), thrown);
  }
  // What the client answers where it found nothing at all.
  if (kubeconfig === undefined && config.getCurrentCluster()?.server === "http://localhost:8080") {
    throw unusable("kubeconfig", "there is none, and this is no pod with a service account's token");
  }
  if (context !== undefined) {
    if (config.getContextObject(context) === null)
      throw unusable("kubeconfig", `it has no context ${context}`);
    config.setCurrentContext(context);
  }
  return config;
}

async function credentialsOf(config: KubeConfig): Promise<Credentials> {
  const options: RequestOptions = {};
  try {
    await config.applyToHTTPSOptions(options);
  } catch (thrown) {
    throw unusable("kubeconfig", messageOf(thrown), thrown);
  }
  const { ca, cert, key, servername, rejectUnauthorized, headers, auth } = options;
  const tls = Object.fromEntries(
    Object.entries({ ca, cert, key, servername, rejectUnauthorized }).filter(
      ([, value]) => value !== undefined,
    ),
  ) as TlsOptions;
  const basic = typeof auth === "string" ? Buffer.from(auth).toString("base64") : undefined;
  const proxy = config.getCurrentCluster()?.proxyUrl;
  if (proxy !== undefined && !/^https?:/.test(proxy)) {
    throw unusable("kubeconfig", "its proxy-url is not http or https");
  }
  return {
    headers: {
      // A token's file may end in a line break, which no header can hold.
      ...Object.fromEntries(Object.entries(headers ?? {}).map(([name, value]) => [name, `${value}`.trim()])),
      ...(basic === undefined ? {} : { Authorization: `Basic ${basic}` }),
    },
    tls,
    ...(proxy === undefined ? {} : { proxy }),
  };
}
