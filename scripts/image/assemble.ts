import { existsSync } from "node:fs";
import { chmod, copyFile, mkdir, readdir, readFile, stat, utimes, writeFile } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { closureOf, type Lock } from "./closure.ts";
import { partsOf } from "./imports.ts";
import { isNeedless } from "./needless.ts";

export interface Assembly {
  /** The repository, with its packages installed. */
  readonly root: string;
  /** What `npm run build` made of it. */
  readonly dist: string;
  /** A program's file below `dist`, such as `operator/main.js`. */
  readonly entry: string;
  /** Does not exist yet. */
  readonly folder: string;
  /** Seconds since 1970: the time of every file. */
  readonly time: number;
}

export interface Assembled {
  /** Built files of Naru's own. */
  readonly files: number;
  /** Names of the packages. */
  readonly packages: readonly string[];
  /** Of all files together, uncompressed. */
  readonly bytes: number;
}

/**
 * Makes the folder that an image holds: the built files that its program can load, and of the installed packages those
 * that these files import. Equal sources give equal bytes, times and modes.
 */
export async function assemble(assembly: Assembly): Promise<Assembled> {
  const { root, dist, entry, folder, time } = assembly;
  const { files, packages } = partsOf(dist, entry);
  const lock = JSON.parse(await readFile(join(root, "package-lock.json"), "utf8")) as Lock;
  const installed = closureOf(lock, packages, (found) => existsSync(join(root, found)));
  for (const file of files) await copy(join(dist, file), join(folder, "dist", file));
  for (const one of installed) {
    for (const file of await filesOf(root, one)) await copy(join(root, file), join(folder, file));
  }
  await writeFile(join(folder, "package.json"), await aboutOf(root));
  await copy(join(root, "LICENSE"), join(folder, "LICENSE"));
  const bytes = await settle(folder, time);
  return { files: files.length, packages: installed.map((one) => one.replace(/^node_modules\//, "")), bytes };
}

/** The files of one package that a program may need, without those of packages inside it. */
async function filesOf(root: string, installed: string): Promise<string[]> {
  const platform = { os: process.platform, cpu: process.arch };
  const entries = await readdir(join(root, installed), { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => relative(root, join(entry.parentPath, entry.name)))
    .filter((file) => !file.slice(installed.length + 1).includes("node_modules/"))
    .filter((file) => !isNeedless(file, platform))
    .sort();
}

/** What Node.js and `--version` read. */
async function aboutOf(root: string): Promise<string> {
  const { name, version, license } = JSON.parse(await readFile(join(root, "package.json"), "utf8")) as Record<
    string,
    string
  >;
  return `${JSON.stringify({ name, version, license, type: "module", private: true }, null, 2)}\n`;
}

async function copy(from: string, to: string): Promise<void> {
  await mkdir(dirname(to), { recursive: true });
  await copyFile(from, to);
}

/** Sets times and modes, which otherwise tell of the machine and the umask; a folder after what is in it. Answers the bytes of its files. */
async function settle(path: string, time: number): Promise<number> {
  const found = await stat(path);
  let bytes = found.isDirectory() ? 0 : found.size;
  if (found.isDirectory()) {
    for (const name of await readdir(path)) bytes += await settle(join(path, name), time);
  }
  await chmod(path, found.isDirectory() || (found.mode & 0o100) !== 0 ? 0o755 : 0o644);
  await utimes(path, time, time);
  return bytes;
}
