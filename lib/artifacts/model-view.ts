import { randomUUID } from "node:crypto";
import { link, mkdir, readdir, rename, rm, stat, symlink } from "node:fs/promises";
import { dirname, isAbsolute, join, normalize, relative, sep } from "node:path";
import { invalidPath } from "./failures.ts";
import { isMissing } from "./partial-file.ts";

/** Folders of the models directory that are no view. */
const OWN_FOLDERS: ReadonlySet<string> = new Set(["blobs", "partial"]);

/**
 * Where a file is seen, below the models directory.
 *
 * @throws NaruError InvalidPath
 */
export function viewPath(directory: string, path: string): string {
  const normal = normalize(path);
  const first = normal.split(sep)[0] ?? "";
  const wrong =
    isAbsolute(path) ||
    path.includes("\0") ||
    path.endsWith("/") ||
    path.split("/").includes("..") ||
    normal === "." ||
    OWN_FOLDERS.has(first);
  if (wrong) throw invalidPath(path);
  return join(directory, normal);
}

/**
 * Shows a blob under the path that the model's user expects, in one step. A hard link, since onnxruntime refuses external
 * data whose real path leaves the model's folder; a symbolic one where the file system knows no hard links.
 */
export async function showAt(view: string, blob: string): Promise<void> {
  if (await isSameFile(view, blob)) return;
  await mkdir(dirname(view), { recursive: true });
  const temporary = join(dirname(view), `.${randomUUID()}`);
  try {
    try {
      await link(blob, temporary);
    } catch (thrown) {
      if (!isNoHardLink(thrown)) throw thrown;
      await symlink(relative(dirname(view), blob), temporary);
    }
    await rename(temporary, view);
  } finally {
    await rm(temporary, { force: true });
  }
}

/** Removes every view of a blob that leaves the cache: through a hard link its bytes would stay on disk. */
export async function removeViewsOf(directory: string, inode: number): Promise<void> {
  const visit = async (folder: string, top: boolean): Promise<void> => {
    for (const entry of await readdir(folder, { withFileTypes: true })) {
      if (top && OWN_FOLDERS.has(entry.name)) continue;
      const path = join(folder, entry.name);
      if (entry.isDirectory()) await visit(path, false);
      else if ((await inodeOf(path)) === inode) await rm(path, { force: true });
    }
  };
  await visit(directory, true);
}

async function isSameFile(a: string, b: string): Promise<boolean> {
  const [first, second] = [await inodeOf(a), await inodeOf(b)];
  return first !== undefined && first === second;
}

async function inodeOf(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).ino;
  } catch (thrown) {
    if (isMissing(thrown)) return undefined;
    throw thrown;
  }
}

function isNoHardLink(thrown: unknown): boolean {
  const code = thrown instanceof Error && "code" in thrown ? thrown.code : undefined;
  return (
    code === "EPERM" || code === "ENOTSUP" || code === "EOPNOTSUPP" || code === "EMLINK" || code === "EXDEV"
  );
}
