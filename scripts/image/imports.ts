import { readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";

/** What a program is made of: its own files, relative to the folder, and the names of the packages that they import. */
export interface Parts {
  readonly files: readonly string[];
  readonly packages: readonly string[];
}

const STATIC = /^\s*(?:import|export)\s+(?:[^'"`;]*?\sfrom\s+)?["']([^"']+)["']/gm;
const DYNAMIC = /\bimport\(\s*["']([^"']+)["']\s*\)/g;
/** A worker thread's file is named in a URL and imported by nobody. */
const NAMED = /["'](\.{1,2}\/[^"'\s]+\.js)["']/g;

/** Follows the imports of built JavaScript from one entry. Whatever could be loaded is in the answer, and no more. */
export function partsOf(folder: string, entry: string): Parts {
  const files = new Set<string>();
  const packages = new Set<string>();
  const waiting = [normalize(entry)];
  for (let file = waiting.pop(); file !== undefined; file = waiting.pop()) {
    if (files.has(file)) continue;
    files.add(file);
    const text = readFileSync(join(folder, file), "utf8");
    const found = [STATIC, DYNAMIC, NAMED].flatMap((pattern) => [...text.matchAll(pattern)]);
    for (const [, target = ""] of found) {
      if (target.startsWith(".")) waiting.push(normalize(join(dirname(file), target)));
      else if (!target.startsWith("node:")) packages.add(packageOf(target));
    }
  }
  return { files: [...files].sort(), packages: [...packages].sort() };
}

/** `@scope/name/deep/file.js` → `@scope/name`. */
function packageOf(target: string): string {
  return target
    .split("/")
    .slice(0, target.startsWith("@") ? 2 : 1)
    .join("/");
}
