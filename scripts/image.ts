import { existsSync } from "node:fs";
import { copyFile, mkdir, readdir, readFile, stat, utimes, writeFile } from "node:fs/promises";
import { dirname, join, relative, resolve } from "node:path";
import { closureOf, type Lock } from "./image/closure.ts";
import { partsOf } from "./image/imports.ts";
import { isNeedless } from "./image/needless.ts";

/**
 * Makes the folder that an image holds: the built files that its program can load, and of the installed packages those
 * that these files import. `npm ci` and `npm run build` come first. Equal sources give equal bytes: names are sorted,
 * and every time is SOURCE_DATE_EPOCH (seconds; 1980 where it is not given).
 *
 *     node scripts/image.ts operator/main.js FOLDER
 */
const root = resolve(import.meta.dirname, "..");
/** The first day that every archive format can hold. */
const EARLIEST = 315_532_800;

const [entry, target] = process.argv.slice(2);
if (entry === undefined || target === undefined) {
  process.stderr.write("usage: image <entry, such as operator/main.js> <folder>\n");
  process.exit(2);
}
await assemble(entry, resolve(target));

async function assemble(entry: string, folder: string): Promise<void> {
  const { files, packages } = partsOf(join(root, "dist"), entry);
  const lock = JSON.parse(await readFile(join(root, "package-lock.json"), "utf8")) as Lock;
  const { name, version, license } = JSON.parse(await readFile(join(root, "package.json"), "utf8")) as Record<
    string,
    string
  >;
  const folders = closureOf(lock, packages, (installed) => existsSync(join(root, installed)));

  await mkdir(folder, { recursive: true });
  for (const file of files) await copy(join("dist", file), folder);
  for (const installed of folders) {
    for (const file of await filesIn(installed)) await copy(file, folder);
  }
  const about = { name, version, license, type: "module", private: true };
  await writeFile(join(folder, "package.json"), `${JSON.stringify(about, null, 2)}\n`);
  await copy("LICENSE", folder);
  await setTimes(folder, Number(process.env.SOURCE_DATE_EPOCH || EARLIEST));
  console.log(
    `${files.length} files of Naru, ${folders.length} packages: ${folders.map(shortName).join(" ")}`,
  );
}

/** The files of one package, without those of packages inside it. */
async function filesIn(installed: string): Promise<string[]> {
  const platform = { os: process.platform, cpu: process.arch };
  const entries = await readdir(join(root, installed), { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => relative(root, join(entry.parentPath, entry.name)))
    .filter((file) => !file.slice(installed.length + 1).includes("node_modules/"))
    .filter((file) => !isNeedless(file, platform))
    .sort();
}

async function copy(file: string, folder: string): Promise<void> {
  const to = join(folder, file);
  await mkdir(dirname(to), { recursive: true });
  await copyFile(join(root, file), to);
}

/** Of everything in a folder, and of the folder itself last. */
async function setTimes(path: string, seconds: number): Promise<void> {
  if ((await stat(path)).isDirectory()) {
    for (const name of await readdir(path)) await setTimes(join(path, name), seconds);
  }
  await utimes(path, seconds, seconds);
}

function shortName(folder: string): string {
  return folder.replace(/^node_modules\//, "");
}
