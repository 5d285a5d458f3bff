import type { RequestOptions } from "node:https";
import { isDeepStrictEqual } from "node:util";
import { KubeConfig } from "@kubernetes/client-node";
import { messageOf, NaruError } from "../../lib/errors.ts";
import { type Clock, systemClock } from "../engine/clock.ts";

/** Where the API server is, and as whom it is asked. */
export interface Connection {
  /** Without a slash at its end. */
  readonly url: string;
  /** The namespace that the configuration names: the pod's own inside a cluster. */
  readonly namespace: string;
  /** What a request carries now. `renew`: the server refused what was answered before. @throws NaruError */
  credentials(options?: { renew?: boolean }): Promise<Credentials>;
}

export interface Credentials {
  readonly headers: Readonly<Record<string, string>>;
  /** The same object as long as nothing in it has changed. */
  readonly tls: TlsOptions;
  readonly proxy?: string;
}

export interface TlsOptions {
  readonly ca?: string | Buffer;
  readonly cert?: string | Buffer;
  readonly key?: string | Buffer;
  readonly servername?: string;
  readonly rejectUnauthorized?: boolean;
}

export interface ConnectionOptions {
  /** A kubeconfig file; by default what kubectl takes (`KUBECONFIG`, `~/.kube/config`), then the pod's own token. */
  kubeconfig?: string;
  context?: string;
  clock?: Clock;
}

/** Milliseconds between two looks at the files that hold tokens and certificates (client-go: a minute, less 10 s). */
const LOOK_AGAIN = 10_000;
/** Milliseconds between two renewals: a server that refuses everything must not have us read files all the time. */
const RENEW_AGAIN = 1_000;

/** @throws NaruError KubeConfigUnusable */
export function openConnection(options: ConnectionOptions = {}): Connection {
  return new KubeConnection(options);
}

class KubeConnection implements Connection {
  readonly url: string;
  readonly namespace: string;
  readonly #options: ConnectionOptions;
  readonly #clock: Clock;
  #config: KubeConfig;
  #credentials: Promise<Credentials> | undefined;
  #tls: TlsOptions = {};
  #at = Number.NEGATIVE_INFINITY;
  #renewedAt = Number.NEGATIVE_INFINITY;

  constructor(options: ConnectionOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#config = load(options);
    const server = this.#config.getCurrentCluster()?.server;
    if (server === undefined) throw unusable("its current context names no cluster");
    this.url = server.replace(/\/+$/, "");
    this.namespace = this.#config.getContextObject(this.#config.getCurrentContext())?.namespace || "default";
  }

  async credentials({ renew = false } = {}): Promise<Credentials> {
    const now = this.#clock.monotonic();
    if (renew && now - this.#renewedAt >= RENEW_AGAIN) {
      // Anew, since the client keeps a token for a minute, whatever the server says to it.
      this.#config = load(this.#options);
      this.#renewedAt = now;
      this.#credentials = undefined;
    }
    if (this.#credentials === undefined || now - this.#at >= LOOK_AGAIN) {
      const credentials = this.#read();
      this.#credentials = credentials;
      this.#at = now;
      // A failure (a file that is being replaced) is not kept.
      credentials.catch(() => {
        if (this.#credentials === credentials) this.#credentials = undefined;
      });
    }
    return this.#credentials;
  }

  async #read(): Promise<Credentials> {
    const options: RequestOptions = {};
    try {
      await this.#config.applyToHTTPSOptions(options);
    } catch (thrown) {
      throw unusable(messageOf(thrown), thrown);
    }
    const { ca, cert, key, servername, rejectUnauthorized, headers, auth } = options;
    const tls = Object.fromEntries(
      Object.entries({ ca, cert, key, servername, rejectUnauthorized }).filter(
        ([, value]) => value !== undefined,
      ),
    ) as TlsOptions;
    if (!isDeepStrictEqual(tls, this.#tls)) this.#tls = tls;
    const basic = typeof auth === "string" ? Buffer.from(auth).toString("base64") : undefined;
    const proxy = this.#config.getCurrentCluster()?.proxyUrl;
    if (proxy !== undefined && !/^https?:/.test(proxy)) throw unusable("its proxy-url is not http or https");
    return {
      headers: {
        // A token's file may end in a line break, which no header can hold.
        ...Object.fromEntries(
          Object.entries(headers ?? {}).map(([name, value]) => [name, `${value}`.trim()]),
        ),
        ...(basic === undefined ? {} : { Authorization: `Basic ${basic}` }),
      },
      tls: this.#tls,
      ...(proxy === undefined ? {} : { proxy }),
    };
  }
}

function load({ kubeconfig, context }: ConnectionOptions): KubeConfig {
  const config = new KubeConfig();
  try {
    if (kubeconfig === undefined) config.loadFromDefault();
    else config.loadFromFile(kubeconfig);
  } catch (thrown) {
    throw unusable(messageOf(thrown), thrown);
  }
  // What the client answers where it found nothing at all.
  if (kubeconfig === undefined && config.getCurrentCluster()?.server === "http://localhost:8080") {
    throw unusable("there is none, and this is no pod with a service account's token");
  }
  if (context !== undefined) {
    if (config.getContextObject(context) === null) throw unusable(`it has no context ${context}`);
    config.setCurrentContext(context);
  }
  return config;
}

function unusable(why: string, cause?: unknown): NaruError {
  return new NaruError({
    code: "KubeConfigUnusable",
    message: `the kubeconfig can't be used: ${why}`,
    remedy: "name a kubeconfig that kubectl can use, or run as a pod with a service account",
    cause,
  });
}
