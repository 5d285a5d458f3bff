import { createHash, type Hash } from "node:crypto";
import { createReadStream } from "node:fs";
import {
  type FileHandle,
  mkdir,
  open,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  utimes,
  writeFile,
} from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";

/** A download that another process left is taken over once nobody has written to it for so long. */
const ABANDONED_AFTER_MS = 120_000;

const origin = z.object({ uri: z.string(), validator: z.string().optional() });

/**
 * The bytes of a download that is under way, on disk under a name that nothing loads. It outlives its process: the next
 * one goes on where this one ended. Several pods may share the folder; each writes only to files that carry its
 * own name, and takes over another's by renaming it, which one alone can do.
 */
export class PartialFile {
  readonly #path: string;
  readonly #handle: FileHandle;
  #hash: Hash;
  #size: number;
  #origin: z.output<typeof origin> | undefined;

  private constructor(
    path: string,
    handle: FileHandle,
    hash: Hash,
    size: number,
    from: z.output<typeof origin> | undefined,
  ) {
    this.#path = path;
    this.#handle = handle;
    this.#hash = hash;
    this.#size = size;
    this.#origin = from;
  }

  /** Opens what was left of this digest, by this owner or by one that is gone, else an empty file. */
  static async open(folder: string, sha256: string, owner: string, now = Date.now()): Promise<PartialFile> {
    await mkdir(folder, { recursive: true });
    const path = join(folder, `${sha256}.${owner}`);
    if (!(await exists(path))) await adopt(folder, sha256, path, now);
    const handle = await open(path, "a+", 0o600);
    const hash = createHash("sha256");
    let size = 0;
    for await (const chunk of createReadStream(path)) {
      hash.update(chunk);
      size += chunk.length;
    }
    return new PartialFile(path, handle, hash, size, await readOrigin(path));
  }

  /** Bytes that are here. */
  get size(): number {
    return this.#size;
  }

  /** The validator of the bytes that are here, if they came from this URI. */
  validatorFor(uri: string): string | undefined {
    return this.#origin?.uri === uri ? this.#origin.validator : undefined;
  }

  /** Of the bytes that are here, as hex. */
  digest(): string {
    return this.#hash.copy().digest("hex");
  }

  async setOrigin(uri: string, validator: string | undefined): Promise<void> {
    if (this.#origin?.uri === uri && this.#origin.validator === validator) return;
    this.#origin = { uri, validator };
    await writeFile(originPath(this.#path), JSON.stringify(this.#origin));
  }

  async append(chunk: Uint8Array): Promise<void> {
    for (let written = 0; written < chunk.length; ) {
      written += (await this.#handle.write(chunk, written)).bytesWritten;
    }
    this.#hash.update(chunk);
    this.#size += chunk.length;
  }

  /** Begins anew. */
  async truncate(): Promise<void> {
    await this.#handle.truncate(0);
    this.#hash = createHash("sha256");
    this.#size = 0;
  }

  /** To its final name, in one step, after its bytes are on disk: a power cut leaves no half file there. */
  async moveTo(path: string): Promise<void> {
    await this.#handle.chmod(0o444);
    await this.#handle.sync();
    await this.#handle.close();
    await rename(this.#path, path);
    await rm(originPath(this.#path), { force: true });
  }

  /** Leaves the bytes for the next attempt. */
  async close(): Promise<void> {
    await this.#handle.close();
  }

  async discard(): Promise<void> {
    await this.#handle.close();
    await rm(this.#path, { force: true });
    await rm(originPath(this.#path), { force: true });
  }
}

function originPath(path: string): string {
  return `${path}.origin`;
}

async function adopt(folder: string, sha256: string, path: string, now: number): Promise<void> {
  for (const name of await readdir(folder)) {
    if (!name.startsWith(`${sha256}.`) || name.endsWith(".origin")) continue;
    const other = join(folder, name);
    try {
      if (now - (await stat(other)).mtimeMs < ABANDONED_AFTER_MS) continue;
      // Its writer, should it live after all, now has a file of no name; what both write the digest will judge.
      await utimes(other, new Date(now), new Date(now));
      await rename(other, path);
    } catch (thrown) {
      if (isMissing(thrown)) continue;
      throw thrown;
    }
    try {
      await rename(originPath(other), originPath(path));
    } catch (thrown) {
      if (!isMissing(thrown)) throw thrown;
    }
    return;
  }
}

async function readOrigin(path: string): Promise<z.output<typeof origin> | undefined> {
  try {
    const parsed = origin.safeParse(JSON.parse(await readFile(originPath(path), "utf8")));
    return parsed.success ? parsed.data : undefined;
  } catch (thrown) {
    // Not there, or cut by a crash: then the digest alone judges.
    if (isMissing(thrown) || thrown instanceof SyntaxError) return undefined;
    throw thrown;
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (thrown) {
    if (isMissing(thrown)) return false;
    throw thrown;
  }
}

export function isMissing(thrown: unknown): boolean {
  return thrown instanceof Error && "code" in thrown && thrown.code === "ENOENT";
}
