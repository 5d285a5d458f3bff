import { mkdir } from "node:fs/promises";
import type { FetchConfig } from "../config/fetch.ts";
import { BlobCache, type BlobCacheOptions } from "./blob-cache.ts";
import { DEFAULT_RETRY, download, type RetryPolicy } from "./download.ts";
import { localFile } from "./local-file.ts";
import { showAt, viewPath } from "./model-view.ts";
import { httpFile, type RemoteFile, S3Store } from "./remote-file.ts";
import { verifySignature } from "./signature.ts";
import { parseSource, type Source } from "./source-uri.ts";
import { Transport, type TransportOptions } from "./transport.ts";

export interface FetchOptions {
  /** NARU_MODELS_DIR; made if it is not there. */
  directory: string;
  /** Names this process among those that share the folder: the pod's name. */
  owner: string;
  /** Credentials, proxies and certificate authorities. */
  env: NodeJS.ProcessEnv;
  onEvent?: (event: FetchEvent) => void;
  signal?: AbortSignal;
  retry?: RetryPolicy;
  lookup?: TransportOptions["lookup"];
  stallMilliseconds?: number;
  freeBytes?: BlobCacheOptions["freeBytes"];
  now?: () => number;
  random?: () => number;
}

/** What happens to a file, named by its path. */
export type FetchEvent =
  | { kind: "cached"; path: string }
  | { kind: "progress"; path: string; received: number; total: number | undefined }
  | { kind: "retry"; path: string; attempt: number; delayMilliseconds: number; why: unknown }
  | { kind: "fetched"; path: string; bytes: number };

/**
 * Brings the files of a model to the models directory, each verified by its digest before it has a name that anything could
 * load. A file whose digest is here already needs no source. All or nothing: views change only once every file
 * is there, and signed where it has to be.
 *
 * @throws NaruError of failures.ts
 */
export async function fetchArtifacts(config: FetchConfig, options: FetchOptions): Promise<void> {
  const { directory, env } = options;
  const views = config.files.map((file) => ({ file, view: viewPath(directory, file.path) }));
  const sources = config.files.map((file) => parseSource(file.uri));
  await mkdir(directory, { recursive: true });

  const cache = new BlobCache({
    directory,
    maxBytes: config.maxCacheBytes,
    owner: options.owner,
    ...(options.freeBytes === undefined ? {} : { freeBytes: options.freeBytes }),
    ...(options.now === undefined ? {} : { now: options.now }),
  });
  const transport = new Transport({
    env,
    ...(options.lookup === undefined ? {} : { lookup: options.lookup }),
    ...(options.stallMilliseconds === undefined ? {} : { stallMilliseconds: options.stallMilliseconds }),
  });
  const store = new S3Store(transport, config.s3, env);
  const keep = new Set(config.files.map(({ sha256 }) => sha256));
  const remoteFile = (uri: string, source: Source): RemoteFile => {
    if (source.kind === "http") return httpFile(transport, source.url, env);
    return source.kind === "s3" ? store.file(source) : localFile(uri, source.path);
  };

  try {
    for (const [index, file] of config.files.entries()) {
      const source = sources[index];
      if (source === undefined) continue;
      if (await cache.has(file.sha256)) {
        options.onEvent?.({ kind: "cached", path: file.path });
        continue;
      }
      await bring(file, remoteFile(file.uri, source), cache, keep, options);
    }
    for (const signature of config.signatures) {
      const source = remoteFile(signature.uri, parseSource(signature.uri));
      await verifySignature(signature, env.NARU_SIGNATURE_PUBLIC_KEY, source, directory, options.signal);
    }
  } finally {
    await transport.close();
  }
  for (const { file, view } of views) await showAt(view, cache.path(file.sha256));
}

async function bring(
  file: FetchConfig["files"][number],
  source: RemoteFile,
  cache: BlobCache,
  keep: ReadonlySet<string>,
  options: FetchOptions,
): Promise<void> {
  const { path, uri, sha256 } = file;
  const partial = await cache.partial(sha256);
  try {
    await download({
      uri,
      sha256,
      source,
      partial,
      retry: options.retry ?? DEFAULT_RETRY,
      maxBytes: cache.maxBytes,
      reserve: (bytes) => cache.makeRoom(bytes, keep),
      onProgress: (received, total) => options.onEvent?.({ kind: "progress", path, received, total }),
      onRetry: (attempt, delayMilliseconds, why) =>
        options.onEvent?.({ kind: "retry", path, attempt, delayMilliseconds, why }),
      signal: options.signal,
      random: options.random ?? Math.random,
    });
  } catch (thrown) {
    // Wrong bytes are of no use to anyone.
    if (thrown instanceof Error && "code" in thrown && thrown.code === "DigestMismatch")
      await partial.discard();
    else await partial.close();
    throw thrown;
  }
  const bytes = partial.size;
  await cache.add(sha256, partial);
  options.onEvent?.({ kind: "fetched", path, bytes });
}
