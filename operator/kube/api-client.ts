import { Agent, type Dispatcher, ProxyAgent } from "undici";
import { systemClock } from "../engine/clock.ts";
import { ApiError, errorFromAnswer, errorFromSilence, retryAfterOf } from "./api-error.ts";
import type { Connection, Credentials, TlsOptions } from "./connection.ts";
import { GateClosed, gatedBy } from "./gated.ts";
import { jsonLines } from "./json-lines.ts";
import { pause } from "./time-limit.ts";

export type Json = Readonly<Record<string, unknown>>;

export type Method = "GET" | "POST" | "PUT" | "PATCH" | "DELETE";

export interface RequestOptions {
  readonly body?: unknown;
  /** `application/json` by default; `applyPatch` for server-side apply. */
  readonly contentType?: string;
  /** Another representation of the answer, such as metadata only. */
  readonly accept?: string;
  readonly query?: Query;
  readonly signal?: AbortSignal;
  /** How often a request is sent again that the server asked to send later; 3 by default. */
  readonly retries?: number;
  /** Asked in the moment in which an attempt is sent, however long it waited. If it throws, that is thrown, unsent. */
  readonly gate?: () => void;
}

export type Query = Readonly<Record<string, string | number | boolean | undefined>>;

export interface StreamOptions {
  readonly accept?: string;
  readonly query?: Query;
  readonly signal?: AbortSignal;
  /** Milliseconds without a byte after which the connection counts as dead. */
  readonly silence: number;
}

/** Requests to one API server, with answers as they are parsed: no types, no classes. */
export interface ApiClient {
  /** The answer's body. @throws ApiError (a ClusterError); what `gate` throws; the signal's reason */
  request(method: Method, path: string, options?: RequestOptions): Promise<Json>;
  /** The lines of a watch, until the server ends it. @throws ApiError; the signal's reason */
  stream(path: string, options: StreamOptions): AsyncGenerator<Json>;
  /** Ends what is under way. */
  close(): Promise<void>;
}

export const applyPatch = "application/apply-patch+yaml";
export const mergePatch = "application/merge-patch+json";

/** Milliseconds that an answer's head may take, and each pause within its body. API servers end requests after 60 s. */
const ANSWER_LIMIT = 30_000;
const CONNECT_LIMIT = 10_000;
/** Milliseconds that an idle connection is kept; API servers close theirs after 90 s. */
const KEEP_ALIVE = 60_000;
/** Requests at once. What is beyond waits here; whoever asks is bounded (workers, reflectors, the events' queue). */
const CONNECTIONS = 32;
/** Bytes of one answer: a page of 500 objects as large as etcd holds would be larger, and none that is real. */
const LARGEST_ANSWER = 256 * 1024 * 1024;
const LARGEST_ERROR = 64 * 1024;
/** The longest that a server's Retry-After is waited for here; a longer one is left to the caller. */
const LONGEST_RETRY_AFTER = 5_000;
const RETRIES = 3;
const NEVER = new AbortController().signal;

export interface ApiClientOptions {
  readonly connections?: number;
  /** Told the HTTP status of each answer, also of those that are tried again; 0 where there was none. */
  readonly onAnswer?: (method: Method, status: number) => void;
}

export function openApiClient(connection: Connection, options: ApiClientOptions = {}): ApiClient {
  return new UndiciApiClient(connection, options);
}

class UndiciApiClient implements ApiClient {
  readonly #connection: Connection;
  readonly #origin: string;
  /** The path below which the API is served: empty, or a proxy's. */
  readonly #root: string;
  readonly #connections: number;
  readonly #onAnswer: (method: Method, status: number) => void;
  #pools: { tls: TlsOptions; requests: Dispatcher; streams: Dispatcher } | undefined;
  #closed = false;

  constructor(connection: Connection, options: ApiClientOptions) {
    this.#connection = connection;
    const { origin, pathname } = new URL(connection.url);
    this.#origin = origin;
    this.#root = pathname === "/" ? "" : pathname;
    this.#connections = options.connections ?? CONNECTIONS;
    this.#onAnswer = options.onAnswer ?? (() => undefined);
  }

  async request(method: Method, path: string, options: RequestOptions = {}): Promise<Json> {
    const what = `${method} ${path}`;
    for (let left = options.retries ?? RETRIES; ; left -= 1) {
      try {
        return await this.#authorized((credentials) =>
          this.#attempt(what, method, path, options, credentials),
        );
      } catch (thrown) {
        // Only what the server says it has not begun: anything else may have been carried out.
        const refused = thrown instanceof ApiError && (thrown.status === 429 || thrown.status === 503);
        const wait = refused ? thrown.retryAfter : undefined;
        if (wait === undefined || wait > LONGEST_RETRY_AFTER || left <= 0) throw thrown;
        await pause(systemClock, wait * (1 + Math.random() / 10), options.signal ?? NEVER);
        options.signal?.throwIfAborted();
      }
    }
  }

  async *stream(path: string, options: StreamOptions): AsyncGenerator<Json> {
    const what = `GET ${path}`;
    const { body } = await this.#authorized(async (credentials) => {
      const answer = await this.#send(what, "GET", path, options, credentials, "streams", options.silence);
      if (answer.statusCode >= 400) throw await errorOf(what, answer);
      return answer;
    });
    try {
      yield* jsonLines(body);
    } catch (thrown) {
      throw options.signal?.aborted === true ? options.signal.reason : errorFromSilence(what, thrown);
    } finally {
      // Whoever stops reading ends the request; nobody is left to be told of that.
      body.on("error", () => undefined).destroy();
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    const pools = this.#pools;
    this.#pools = undefined;
    await Promise.all([pools?.requests.destroy(), pools?.streams.destroy()]);
  }

  /** A token that was refused may have been replaced: it is read anew, once. */
  async #authorized<T>(run: (credentials: Credentials) => Promise<T>): Promise<T> {
    try {
      return await run(await this.#connection.credentials());
    } catch (thrown) {
      if (!(thrown instanceof ApiError) || thrown.status !== 401) throw thrown;
      return await run(await this.#connection.credentials({ renew: true }));
    }
  }

  async #attempt(
    what: string,
    method: Method,
    path: string,
    options: RequestOptions,
    credentials: Credentials,
  ): Promise<Json> {
    const answer = await this.#send(what, method, path, options, credentials, "requests", ANSWER_LIMIT);
    if (answer.statusCode >= 400) throw await errorOf(what, answer);
    try {
      return JSON.parse(await readBody(answer.body, LARGEST_ANSWER)) as Json;
    } catch (thrown) {
      throw options.signal?.aborted === true ? options.signal.reason : errorFromSilence(what, thrown);
    }
  }

  async #send(
    what: string,
    method: Method,
    path: string,
    options: RequestOptions,
    credentials: Credentials,
    pool: "requests" | "streams",
    bodyTimeout: number,
  ): Promise<Dispatcher.ResponseData> {
    const {
      body,
      contentType = "application/json",
      accept = "application/json",
      query,
      signal,
      gate,
    } = options;
    if (this.#closed) throw errorFromSilence(what, new Error("the client is closed"));
    const open = this.#poolsFor(credentials)[pool];
    const dispatcher = gate === undefined ? open : open.compose(gatedBy(gate));
    try {
      const answer = await dispatcher.request({
        origin: this.#origin,
        path: this.#root + path + queryText(query),
        method,
        headers: {
          ...credentials.headers,
          accept,
          "user-agent": "naru-operator",
          ...(body === undefined ? {} : { "content-type": contentType }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        ...(signal === undefined ? {} : { signal }),
        headersTimeout: ANSWER_LIMIT,
        bodyTimeout,
      });
      this.#onAnswer(method, answer.statusCode);
      return answer;
    } catch (thrown) {
      if (thrown instanceof GateClosed) throw thrown.cause;
      this.#onAnswer(method, 0);
      throw signal?.aborted === true ? signal.reason : errorFromSilence(what, thrown);
    }
  }

  #poolsFor({ tls, proxy }: Credentials): { requests: Dispatcher; streams: Dispatcher } {
    if (this.#pools?.tls === tls) return this.#pools;
    const old = this.#pools;
    // Watches have connections of their own, so that they hold none of those that requests wait for.
    this.#pools = {
      tls,
      requests: dispatcher(tls, proxy, this.#connections),
      streams: dispatcher(tls, proxy, undefined),
    };
    // New certificates: what is under way on the old connections may end there.
    void old?.requests.close();
    void old?.streams.close();
    return this.#pools;
  }
}

/** Text from the start: requests of a first pass come by the ten thousand, and a URL object would only be read again. */
function queryText(query: Query = {}): string {
  let text = "";
  for (const [name, value] of Object.entries(query)) {
    if (value === undefined) continue;
    text += `${text === "" ? "?" : "&"}${name}=${encodeURIComponent(value)}`;
  }
  return text;
}

function dispatcher(tls: TlsOptions, proxy: string | undefined, connections: number | undefined): Dispatcher {
  const shared = {
    ...(connections === undefined ? {} : { connections }),
    keepAliveTimeout: KEEP_ALIVE,
    keepAliveMaxTimeout: KEEP_ALIVE,
    // undici takes HTTP/2 where it is offered; why it is not wanted here says ADR 0012.
    allowH2: false,
  };
  const connect = { timeout: CONNECT_LIMIT, keepAlive: true, keepAliveInitialDelay: 15_000 };
  if (proxy !== undefined) return new ProxyAgent({ ...shared, uri: proxy, requestTls: tls, connect });
  return new Agent({ ...shared, connect: { ...connect, ...tls } });
}

async function errorOf(what: string, answer: Dispatcher.ResponseData): Promise<ApiError> {
  const { statusCode, headers, body } = answer;
  const retryAfter = retryAfterOf(headers["retry-after"]);
  try {
    return errorFromAnswer(what, statusCode, await readBody(body, LARGEST_ERROR), retryAfter);
  } catch (thrown) {
    return errorFromAnswer(what, statusCode, thrown instanceof Error ? thrown.message : "", retryAfter);
  }
}

/** @throws RangeError where the body is longer than `largest` bytes */
async function readBody(body: Dispatcher.ResponseData["body"], largest: number): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > largest) throw new RangeError(`the answer is larger than ${largest} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}
