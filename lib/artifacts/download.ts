import { setTimeout as delay } from "node:timers/promises";
import { NaruError } from "../errors.ts";
import { cacheTooSmall, digestMismatch, diskFull, isTransient, sourceUnavailable } from "./failures.ts";
import type { PartialFile } from "./partial-file.ts";
import type { RemoteFile } from "./remote-file.ts";

export interface RetryPolicy {
  /** Attempts in a row that brought nothing; one that brought a byte begins the count anew. */
  attempts: number;
  /** Attempts at all, so that a source that gives a byte at a time comes to an end. */
  totalAttempts: number;
  /** Backoff doubles from the first to the second, with jitter. */
  minDelayMilliseconds: number;
  maxDelayMilliseconds: number;
}

export const DEFAULT_RETRY: RetryPolicy = {
  attempts: 8,
  totalAttempts: 200,
  minDelayMilliseconds: 500,
  maxDelayMilliseconds: 30_000,
};

/** Of a file whose size is not told, room is asked for anew after so many bytes. */
const UNTOLD_STEP_BYTES = 1024 * 1024;

export interface DownloadJob {
  uri: string;
  sha256: string;
  source: RemoteFile;
  partial: PartialFile;
  retry: RetryPolicy;
  /** No file may be larger: bytes beyond it are not written. */
  maxBytes: number;
  /** Makes or checks room for so many more bytes; throws DiskFull. */
  reserve(bytes: number): Promise<void>;
  onProgress(received: number, total: number | undefined): void;
  onRetry(attempt: number, delayMilliseconds: number, why: unknown): void;
  signal: AbortSignal | undefined;
  random: () => number;
}

/**
 * Brings a file's bytes into `partial`, going on where they end after a cut connection, until their digest is the one wanted. On
 * failure the bytes stay for the next time, unless they are wrong.
 *
 * @throws NaruError of failures.ts
 */
export async function download(job: DownloadJob): Promise<void> {
  const { partial, retry } = job;
  let idle = 0;
  for (let attempt = 1; ; attempt++) {
    // A process that ended between the last byte and the move left a whole file: its source is not needed.
    if (partial.size > 0 && partial.digest() === job.sha256) return;

    const before = partial.size;
    try {
      await receive(job);
      if (partial.digest() === job.sha256) return;
      if (before === 0) throw digestMismatch(job.uri, job.sha256, partial.digest());
      // Parts of two different files, or bytes that a power cut lost: the whole file decides.
      await partial.truncate();
      job.onRetry(attempt, 0, digestMismatch(job.uri, job.sha256, "that of its parts"));
    } catch (thrown) {
      if (!isTransient(thrown)) throw outOfRoom(thrown);
      idle = partial.size > before ? 1 : idle + 1;
      if (idle >= retry.attempts || attempt >= retry.totalAttempts) {
        throw sourceUnavailable(job.uri, `gave up after ${attempt} attempts: ${lastReason(thrown)}`, thrown);
      }
      const wait = backoff(retry, idle, job.random);
      job.onRetry(attempt, wait, thrown);
      await delay(wait, undefined, job.signal === undefined ? {} : { signal: job.signal });
    }
  }
}

/** Milliseconds before the attempt after the nth failure in a row; half of it is drawn. */
export function backoff(retry: RetryPolicy, failures: number, random: () => number): number {
  const full = Math.min(retry.maxDelayMilliseconds, retry.minDelayMilliseconds * 2 ** (failures - 1));
  return full / 2 + (random() * full) / 2;
}

async function receive(job: DownloadJob): Promise<void> {
  const { partial } = job;
  const part = await job.source.open({
    start: partial.size,
    validator: partial.validatorFor(job.uri),
    signal: job.signal,
  });
  const told = partial.validatorFor(job.uri);
  const changed = told !== undefined && part.validator !== undefined && told !== part.validator;
  if (part.start !== partial.size || (changed && part.start > 0)) {
    await partial.truncate();
    if (part.start > 0) throw sourceUnavailable(job.uri, "changed while it was read");
  }
  if (part.total !== undefined) {
    if (part.total > job.maxBytes) throw cacheTooSmall(part.total, job.maxBytes);
    await job.reserve(Math.max(0, part.total - partial.size));
  }
  await partial.setOrigin(job.uri, part.validator);

  let reserved = partial.size;
  for await (const chunk of part.body) {
    const size = partial.size + chunk.length;
    if (size > job.maxBytes) {
      await partial.truncate();
      throw cacheTooSmall(size, job.maxBytes);
    }
    if (part.total === undefined && size > reserved) {
      await job.reserve(chunk.length);
      reserved = size + UNTOLD_STEP_BYTES;
    }
    if (part.total !== undefined && size > part.total) {
      await partial.truncate();
      throw sourceUnavailable(job.uri, `sent more than the ${part.total} bytes that it told`);
    }
    await partial.append(chunk);
    job.onProgress(partial.size, part.total);
  }
  if (part.total !== undefined && partial.size < part.total) {
    throw sourceUnavailable(job.uri, `ended after ${partial.size} of ${part.total} bytes`);
  }
}

function lastReason(thrown: unknown): string {
  // The message begins with the URI, which the new one has as well.
  return thrown instanceof NaruError ? thrown.message.replace(/^\S+: /, "") : String(thrown);
}

function outOfRoom(thrown: unknown): unknown {
  const code = thrown instanceof Error && "code" in thrown ? thrown.code : undefined;
  return code === "ENOSPC" || code === "EDQUOT" ? diskFull(undefined, undefined) : thrown;
}
