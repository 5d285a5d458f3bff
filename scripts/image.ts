import { join, resolve } from "node:path";
import { assemble } from "./image/assemble.ts";

/**
 * Makes the folder that an image holds, after `npm ci` and `npm run build`:
 *
 *     node scripts/image.ts operator/main.js FOLDER
 *
 * Every time in it is SOURCE_DATE_EPOCH, in seconds, so that two builds can be compared.
 */
const root = resolve(import.meta.dirname, "..");
/** 1980: the first day that every archive format can hold. */
const EARLIEST = 315_532_800;

const [entry, folder] = process.argv.slice(2);
if (entry === undefined || folder === undefined) {
  process.stderr.write("usage: image <entry, such as operator/main.js> <folder>\n");
  process.exit(2);
}
const { files, packages, bytes } = await assemble({
  root,
  dist: join(root, "dist"),
  entry,
  folder: resolve(folder),
  time: Number(process.env.SOURCE_DATE_EPOCH || EARLIEST),
});
console.log(
  `${(bytes / 1e6).toFixed(0)} MB: ${files} files of Naru; ${packages.length} packages: ${packages.join(" ")}`,
);
