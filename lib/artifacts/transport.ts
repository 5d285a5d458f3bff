import { lookup as dnsLookup, type LookupAddress, type LookupAllOptions } from "node:dns";
import { readFileSync } from "node:fs";
import type { LookupFunction } from "node:net";
import { getCACertificates } from "node:tls";
import { Agent, type Dispatcher, EnvHttpProxyAgent, request } from "undici";
import { messageOf, NaruError } from "../errors.ts";
import {
  addressRefused,
  invalidUri,
  plainHttpRefused,
  sourceUnavailable,
  sourceUntrusted,
} from "./failures.ts";
import { readText } from "./read-text.ts";
import { isRefusedAddress, isRefusedHost } from "./refused-address.ts";

const CONNECT_TIMEOUT_MS = 10_000;
const STALL_TIMEOUT_MS = 30_000;
/** Behind a proxy there may be no resolver that answers. */
const LOOKUP_TIMEOUT_MS = 5000;
const MAX_REDIRECTS = 5;

export interface HttpResponse {
  /** Where the answer came from, after redirects. */
  url: URL;
  status: number;
  /** Lower-case names; of a repeated header the first value. */
  header(name: string): string | undefined;
  /** To be read or destroyed. */
  body: Dispatcher.ResponseData["body"];
  /** Reads the body as read-text.ts does. */
  text(): Promise<string>;
}

export interface TransportOptions {
  /** Proxy variables, NARU_CA_FILE and NARU_ALLOW_PLAIN_HTTP are read from it. */
  env: NodeJS.ProcessEnv;
  /** Stands for the system's resolver. */
  lookup?: AllLookup;
  /** Without a byte for so long a connection counts as cut. */
  stallMilliseconds?: number;
}

export type AllLookup = (
  hostname: string,
  options: LookupAllOptions,
  callback: (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void,
) => void;

export interface GetOptions {
  headers?: Record<string, string>;
  /** Sent to the origin of the first URL and to no other. */
  ownHeaders?: Record<string, string>;
  redirects?: boolean;
  /** For an endpoint that the resource or the administrator named as http:// itself. */
  plainHttp?: boolean;
  signal?: AbortSignal;
}

interface RequestOptions {
  headers: Record<string, string>;
  method?: "POST";
  body?: string;
  signal?: AbortSignal;
}

/**
 * HTTP as models are brought by: proxies and certificate authorities from the environment, redirects followed
 * here, since each hop is checked. Close it after use.
 */
export class Transport {
  readonly #dispatcher: Dispatcher;
  readonly #lookup: AllLookup;
  readonly #allowPlainHttp: boolean;
  readonly #stallMilliseconds: number;

  constructor({ env, lookup = dnsLookup, stallMilliseconds = STALL_TIMEOUT_MS }: TransportOptions) {
    this.#lookup = lookup;
    this.#allowPlainHttp = env.NARU_ALLOW_PLAIN_HTTP === "1";
    this.#stallMilliseconds = stallMilliseconds;
    const tls = trustOf(env);
    this.#dispatcher = new EnvHttpProxyAgent({
      connect: { ...tls, lookup: guardedLookup(lookup), timeout: CONNECT_TIMEOUT_MS },
      proxyTls: tls,
      requestTls: tls,
      headersTimeout: stallMilliseconds,
      bodyTimeout: stallMilliseconds,
      httpProxy: env.http_proxy ?? env.HTTP_PROXY ?? "",
      httpsProxy: env.https_proxy ?? env.HTTPS_PROXY ?? "",
      noProxy: env.no_proxy ?? env.NO_PROXY ?? "",
    });
  }

  /**
   * GET, past at most five redirects. Any status but a redirect is the caller's to judge.
   *
   * @throws NaruError AddressRefused, PlainHttpRefused, SourceUntrusted, SourceUnavailable
   */
  async get(first: URL, options: GetOptions = {}): Promise<HttpResponse> {
    let url = first;
    for (let hop = 0; ; hop++) {
      await this.#check(url, options.plainHttp === true && hop === 0);
      const own = url.origin === first.origin ? options.ownHeaders : undefined;
      const answer = await this.#request(url, {
        headers: { ...options.headers, ...own },
        ...(options.signal === undefined ? {} : { signal: options.signal }),
      });
      const location = answer.header("location");
      const redirected = [301, 302, 303, 307, 308].includes(answer.status) && location !== undefined;
      if (!redirected || options.redirects === false) return answer;
      answer.body.destroy();
      if (hop >= MAX_REDIRECTS || !URL.canParse(location, url.href)) {
        throw invalidUri(first, "redirects more than five times, or to what is no URL");
      }
      url = new URL(location, url);
    }
  }

  /** POST of a form to a token service; the answer is the caller's to judge. */
  async post(url: URL, form: URLSearchParams): Promise<HttpResponse> {
    await this.#check(url, false);
    return this.#request(url, {
      method: "POST",
      headers: { "content-type": "application/x-www-form-urlencoded" },
      body: form.toString(),
    });
  }

  async close(): Promise<void> {
    await this.#dispatcher.destroy();
  }

  /**
   * A proxy resolves names itself, so that a name is looked up here too, and refused for what it leads to. A name that
   * only the proxy can resolve passes: it is then reached over TLS, which no metadata service speaks.
   */
  async #check(url: URL, plainHttp: boolean): Promise<void> {
    if (url.protocol !== "https:" && url.protocol !== "http:") throw invalidUri(url, "not HTTP");
    if (isRefusedHost(url.hostname)) throw addressRefused(url.hostname);
    if (url.protocol === "http:" && !plainHttp && !this.#allowPlainHttp && !isLoopback(url.hostname)) {
      throw plainHttpRefused(url);
    }
    const addresses = await this.#addressesOf(url.hostname.replace(/^\[|\]$/g, ""));
    if (addresses.some(({ address }) => isRefusedAddress(address))) throw addressRefused(url.hostname);
  }

  #addressesOf(host: string): Promise<LookupAddress[]> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve([]), LOOKUP_TIMEOUT_MS);
      this.#lookup(host, { all: true }, (error, found) => {
        clearTimeout(timer);
        resolve(error === null ? found : []);
      });
    });
  }

  async #request(url: URL, { headers, signal, ...options }: RequestOptions): Promise<HttpResponse> {
    // The client's own time-out begins anew with each interim answer (103), of which there may be no end.
    const late = new AbortController();
    let timer: NodeJS.Timeout | undefined;
    try {
      const answer = await request(url, {
        ...options,
        onInfo: () => {
          timer ??= setTimeout(
            () => late.abort(sourceUnavailable(url, "interim answers and no other")),
            this.#stallMilliseconds,
          );
        },
        signal: signal === undefined ? late.signal : AbortSignal.any([signal, late.signal]),
        dispatcher: this.#dispatcher,
        headers: { "user-agent": "naru", "accept-encoding": "identity", ...headers },
      });
      // Who reads a body hears of its failure by the read; who drops one wants to hear no more of it.
      answer.body.on("error", () => undefined);
      return {
        url,
        status: answer.statusCode,
        header(name) {
          const value = answer.headers[name];
          return Array.isArray(value) ? value[0] : value;
        },
        body: answer.body,
        text: () => readText(answer.body, this.#stallMilliseconds),
      };
    } catch (thrown) {
      throw transportFailure(url, thrown);
    } finally {
      clearTimeout(timer);
    }
  }
}

/**
 * Credentials of a pod come from a link-local address, which nothing in a resource can name: plain, direct, no redirect.
 * Close it after use.
 */
export function directAgent(): Agent {
  return new Agent({
    connect: { timeout: 2000 },
    headersTimeout: 5000,
    bodyTimeout: 5000,
  });
}

/** What a failure of the connection, before or within an answer, is for who asked. */
export function transportFailure(url: URL, thrown: unknown): unknown {
  if (thrown instanceof NaruError || !(thrown instanceof Error)) return thrown;
  if (thrown.name === "AbortError") return thrown;
  if (thrown.cause instanceof NaruError) return thrown.cause;
  if ("code" in thrown && typeof thrown.code === "string" && isTrustFailure(thrown.code)) {
    return sourceUntrusted(url, thrown);
  }
  const why = thrown.message === "" && "code" in thrown ? String(thrown.code) : messageOf(thrown);
  return sourceUnavailable(url, why, thrown);
}

/** OpenSSL's verification results, by Node's names. */
function isTrustFailure(code: string): boolean {
  return /^(CERT_|ERR_TLS_CERT_|SELF_SIGNED_|DEPTH_ZERO_|UNABLE_TO_(GET|VERIFY)_)/.test(code);
}

/** Refuses a name of which any answer is a refused address, at the moment of connecting. */
function guardedLookup(lookup: AllLookup): LookupFunction {
  return (hostname, options, callback) => {
    lookup(hostname, { ...options, all: true }, (error, addresses) => {
      if (error !== null) return callback(error, []);
      if (addresses.some(({ address }) => isRefusedAddress(address))) {
        return callback(addressRefused(hostname), []);
      }
      const [first] = addresses;
      if (options.all === true || first === undefined) callback(null, addresses);
      else callback(null, first.address, first.family);
    });
  };
}

/** Node adds NODE_EXTRA_CA_CERTS to its defaults by itself, and `ca` takes the place of all of them. */
function trustOf(env: NodeJS.ProcessEnv): { ca?: string[] } {
  const path = env.NARU_CA_FILE;
  if (path === undefined || path === "") return {};
  try {
    return { ca: [...getCACertificates("default"), readFileSync(path, "utf8")] };
  } catch (thrown) {
    throw new NaruError({
      code: "InvalidEnvironment",
      message: `NARU_CA_FILE: ${messageOf(thrown)}`,
      remedy: "Mount the certificate authority's PEM file there, or leave the variable unset.",
      cause: thrown,
    });
  }
}

function isLoopback(hostname: string): boolean {
  return hostname === "localhost" || hostname === "[::1]" || /^127\.\d+\.\d+\.\d+$/.test(hostname);
}
