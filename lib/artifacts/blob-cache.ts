import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, open, readdir, rm, stat, statfs, utimes } from "node:fs/promises";
import { dirname, join } from "node:path";
import { cacheTooSmall, diskFull } from "./failures.ts";
import { removeViewsOf } from "./model-view.ts";
import { isMissing, PartialFile } from "./partial-file.ts";

export interface BlobCacheOptions {
  /** NARU_MODELS_DIR. */
  directory: string;
  maxBytes: number;
  /** Names the downloads of this process among those of others that share the folder. */
  owner: string;
  /** Bytes free where the folder is; the file system's own count by default. */
  freeBytes?: (directory: string) => Promise<number>;
  now?: () => number;
}

/**
 * Files by their sha256, below `blobs/sha256/`, on a disk that outlives the process. A file gets its name only once its digest
 * was verified, so that whatever has a name there may be loaded. Bounded: the least recently used leave first.
 */
export class BlobCache {
  readonly #directory: string;
  readonly #maxBytes: number;
  readonly #owner: string;
  readonly #freeBytes: (directory: string) => Promise<number>;
  readonly #now: () => number;

  constructor(options: BlobCacheOptions) {
    this.#directory = options.directory;
    this.#maxBytes = options.maxBytes;
    this.#owner = options.owner;
    this.#freeBytes = options.freeBytes ?? freeBytesOf;
    this.#now = options.now ?? Date.now;
  }

  get maxBytes(): number {
    return this.#maxBytes;
  }

  path(sha256: string): string {
    return join(this.#directory, "blobs", "sha256", sha256);
  }

  /**
   * Whether the file is here and whole, by its digest and not by its name: a disk that outlives the process may have been written to.
   * One that is not whole is removed. Counts as a use.
   */
  async has(sha256: string): Promise<boolean> {
    const path = this.path(sha256);
    const hash = createHash("sha256");
    try {
      for await (const chunk of createReadStream(path, { highWaterMark: 1024 * 1024 })) hash.update(chunk);
    } catch (thrown) {
      if (isMissing(thrown)) return false;
      throw thrown;
    }
    if (hash.digest("hex") !== sha256) {
      await rm(path, { force: true });
      return false;
    }
    const { mtime } = await stat(path);
    await utimes(path, new Date(this.#now()), mtime);
    return true;
  }

  partial(sha256: string): Promise<PartialFile> {
    return PartialFile.open(join(this.#directory, "partial"), sha256, this.#owner, this.#now());
  }

  /** Takes a download in whose digest was verified. */
  async add(sha256: string, partial: PartialFile): Promise<void> {
    if (partial.digest() !== sha256) throw new Error("a blob was to be added under another's digest");
    const path = this.path(sha256);
    await mkdir(dirname(path), { recursive: true });
    await partial.moveTo(path);
    await syncFolder(dirname(path));
  }

  /**
   * Makes room for `bytes` more, within the bound and on the disk. Files of `keep` stay, and so does what another fetch
   * used a moment ago: a pod may bring its models by several, one for each source, and must not lose the first for the
   * second.
   *
   * @throws NaruError CacheTooSmall, DiskFull
   */
  async makeRoom(bytes: number, keep: ReadonlySet<string>): Promise<void> {
    const blobs = await this.#blobs();
    let held = blobs.reduce((sum, blob) => sum + blob.size, 0) + (await this.#heldByPartials(keep));
    let free = await this.#freeBytes(this.#directory);
    const leaving = blobs
      .filter(({ sha256, usedAt }) => !keep.has(sha256) && this.#now() - usedAt > IN_USE_MS)
      .sort((a, b) => a.usedAt - b.usedAt || (a.sha256 < b.sha256 ? -1 : 1));
    for (const blob of leaving) {
      if (held + bytes <= this.#maxBytes && bytes <= free) break;
      await removeViewsOf(this.#directory, blob.inode);
      await rm(this.path(blob.sha256), { force: true });
      held -= blob.size;
      free = await this.#freeBytes(this.#directory);
    }
    if (held + bytes > this.#maxBytes) throw cacheTooSmall(held + bytes, this.#maxBytes);
    if (bytes > free) throw diskFull(bytes, free);
  }

  /** Bytes of downloads that are under way; those of files that nobody wants any more are removed. */
  async #heldByPartials(keep: ReadonlySet<string>): Promise<number> {
    const folder = join(this.#directory, "partial");
    let held = 0;
    for (const name of await namesIn(folder)) {
      const path = join(folder, name);
      const info = await statIfThere(path);
      if (info === undefined) continue;
      const abandoned = this.#now() - info.mtimeMs > ABANDONED_AFTER_MS;
      if (!keep.has(name.slice(0, 64)) && abandoned) await rm(path, { force: true });
      else held += info.size;
    }
    return held;
  }

  async #blobs(): Promise<{ sha256: string; size: number; usedAt: number; inode: number }[]> {
    const folder = join(this.#directory, "blobs", "sha256");
    const blobs = [];
    for (const sha256 of await namesIn(folder)) {
      const info = await statIfThere(join(folder, sha256));
      if (info?.isFile()) blobs.push({ sha256, size: info.size, usedAt: info.atimeMs, inode: info.ino });
    }
    return blobs;
  }
}

/** Longer than pods take from their first model to their start. */
const IN_USE_MS = 10 * 60_000;

/** Nobody goes on with a download of another model after so long. */
const ABANDONED_AFTER_MS = 24 * 3_600_000;

async function freeBytesOf(directory: string): Promise<number> {
  const { bavail, bsize } = await statfs(directory);
  return bavail * bsize;
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (thrown) {
    if (isMissing(thrown)) return [];
    throw thrown;
  }
}

async function statIfThere(path: string) {
  try {
    return await stat(path);
  } catch (thrown) {
    if (isMissing(thrown)) return undefined;
    throw thrown;
  }
}

/** A rename is on disk only once its folder is. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
