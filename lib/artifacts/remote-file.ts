import { AwsV4Signer } from "aws4fetch";
import type { FetchConfig } from "../config/fetch.ts";
import type { NaruError } from "../errors.ts";
import { parseContentRange, parseUnsatisfiedRange, rangeValidator } from "./content-range.ts";
import { sourceForbidden, sourceNotFound, sourceRefused, sourceUnavailable } from "./failures.ts";
import { readSecretFile, S3CredentialSource } from "./s3-credentials.ts";
import { s3Location, s3Region } from "./s3-location.ts";
import type { Source } from "./source-uri.ts";
import { type HttpResponse, type Transport, transportFailure } from "./transport.ts";

/** A file from `start` on. */
export interface RemotePart {
  /** 0 where the source gave the whole file, whatever was asked for. */
  start: number;
  /** Size of the whole file, where the source tells it. */
  total: number | undefined;
  /** For `If-Range` of the next part. */
  validator: string | undefined;
  body: AsyncIterable<Uint8Array>;
}

export interface PartRequest {
  start: number;
  /** The validator that came with the bytes before `start`. */
  validator: string | undefined;
  signal: AbortSignal | undefined;
}

/** Opens one file at its source, whole or from a byte on. */
export interface RemoteFile {
  /** @throws NaruError of failures.ts */
  open(request: PartRequest): Promise<RemotePart>;
}

/** An https URI, with a bearer token where the environment has one. */
export function httpFile(transport: Transport, url: URL, env: NodeJS.ProcessEnv): RemoteFile {
  return {
    open: openedBy(async ({ start, validator, signal }) => {
      const token =
        env.BEARER_TOKEN_FILE === undefined ? env.BEARER_TOKEN : await readSecretFile(env.BEARER_TOKEN_FILE);
      return transport.get(url, {
        headers: rangeHeaders(start, validator),
        ...(token === undefined ? {} : { ownHeaders: { authorization: `Bearer ${token}` } }),
        ...(signal === undefined ? {} : { signal }),
      });
    }),
  };
}

/** An object of an S3-compatible store. One for all files of a fetch, since they share credentials. */
export class S3Store {
  readonly #transport: Transport;
  readonly #config: FetchConfig["s3"];
  readonly #env: NodeJS.ProcessEnv;
  readonly #credentials: S3CredentialSource;

  constructor(transport: Transport, config: FetchConfig["s3"], env: NodeJS.ProcessEnv) {
    this.#transport = transport;
    this.#config = config;
    this.#env = env;
    this.#credentials = new S3CredentialSource(env, transport, s3Region(config, env));
  }

  file(source: Extract<Source, { kind: "s3" }>): RemoteFile {
    const location = s3Location(source, this.#config, this.#env);
    return {
      open: openedBy(
        async ({ start, validator, signal }) => {
          const credentials = await this.#credentials.get();
          let url = location.url;
          let headers = rangeHeaders(start, validator);
          if (credentials !== undefined) {
            const { accessKeyId, secretAccessKey, sessionToken } = credentials;
            const signed = await new AwsV4Signer({
              url: url.href,
              headers,
              service: "s3",
              region: location.region,
              accessKeyId,
              secretAccessKey,
              ...(sessionToken === undefined ? {} : { sessionToken }),
            }).sign();
            url = signed.url;
            headers = Object.fromEntries(signed.headers);
          }
          return this.#transport.get(url, {
            headers,
            plainHttp: location.plainHttp,
            // A signature is for one host: a redirect means the wrong region.
            redirects: false,
            ...(signal === undefined ? {} : { signal }),
          });
        },
        () => this.#credentials.forget(),
      ),
    };
  }
}

/**
 * Opens by `ask`. A source that answers a range with another one is asked for the whole file: those that get ranges wrong
 * would else never be done with a file once a connection was cut.
 */
function openedBy(
  ask: (request: PartRequest) => Promise<HttpResponse>,
  onExpired?: () => void,
): (request: PartRequest) => Promise<RemotePart> {
  return async (request) => {
    const answer = await ask(request);
    if (request.start === 0 || answer.status !== 206 || startOf(answer) === request.start) {
      return partOf(answer, request.start, onExpired);
    }
    answer.body.destroy();
    return partOf(await ask({ ...request, start: 0, validator: undefined }), 0, onExpired);
  };
}

function startOf(answer: HttpResponse): number | undefined {
  return parseContentRange(answer.header("content-range") ?? "")?.start;
}

function rangeHeaders(start: number, validator: string | undefined): Record<string, string> {
  if (start === 0) return {};
  return { range: `bytes=${start}-`, ...(validator === undefined ? {} : { "if-range": validator }) };
}

async function partOf(answer: HttpResponse, asked: number, onExpired?: () => void): Promise<RemotePart> {
  const validator = rangeValidator(answer.header("etag"), answer.header("last-modified"));
  const body = failuresTold(answer);
  if (answer.status === 200) {
    const length = answer.header("content-length");
    return { start: 0, total: length === undefined ? undefined : Number(length), validator, body };
  }
  if (answer.status === 206) {
    const range = parseContentRange(answer.header("content-range") ?? "");
    if (range !== undefined && range.start === asked) {
      return { start: asked, total: range.total, validator, body };
    }
    answer.body.destroy();
    throw sourceRefused(answer.url, 206, "not the part that was asked for");
  }
  if (answer.status === 416 && asked > 0) {
    // Nothing comes after `asked`: the file is all here, or it is another one; its digest will tell.
    const total = parseUnsatisfiedRange(answer.header("content-range") ?? "");
    answer.body.destroy();
    return { start: asked, total: total ?? asked, validator, body: nothing() };
  }
  throw await failureOf(answer, onExpired);
}

async function failureOf(answer: HttpResponse, onExpired: (() => void) | undefined): Promise<NaruError> {
  const { url, status } = answer;
  // S3's error documents have a code that says more than the status.
  const reason = /<Code>(\w{1,64})<\/Code>/.exec(await answer.text())?.[1] ?? "";
  if (onExpired !== undefined && /^(ExpiredToken|RequestExpired|TokenRefreshRequired)$/.test(reason)) {
    onExpired();
    return sourceUnavailable(url, `credentials expired (${reason})`);
  }
  // Not every store answers these with 403, as S3 does.
  const denied = /^(AccessDenied|InvalidAccessKeyId|InvalidToken|SignatureDoesNotMatch)$/.test(reason);
  if (status === 401 || status === 403 || denied) return sourceForbidden(url, status, reason);
  if (status === 404 || status === 410) return sourceNotFound(url, reason);
  if (status === 408 || status === 425 || status === 429 || status >= 500) {
    return sourceUnavailable(url, `answered ${status}${reason && ` (${reason})`}`);
  }
  return sourceRefused(url, status, reason);
}

async function* failuresTold(answer: HttpResponse): AsyncGenerator<Uint8Array> {
  try {
    yield* answer.body;
  } catch (thrown) {
    throw transportFailure(answer.url, thrown);
  }
}

async function* nothing(): AsyncGenerator<Uint8Array> {
  // The part is empty.
}
