import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";

const read = (file: string) => readFileSync(join(import.meta.dirname, "../../..", file), "utf8");

interface Package {
  readonly dependencies?: Record<string, string>;
  readonly devDependencies?: Record<string, string>;
  readonly allowScripts?: Record<string, boolean>;
}

interface Locked {
  readonly integrity?: string;
  readonly hasInstallScript?: boolean;
}

const manifest = JSON.parse(read("package.json")) as Package;
const lock = JSON.parse(read("package-lock.json")) as { packages: Record<string, Locked> };
const locked = Object.entries(lock.packages).filter(([path]) => path !== "");

test("every package is locked to its bytes, and what is asked for is one version", () => {
  expect(locked.length).toBeGreaterThan(100);
  expect(locked.filter(([, { integrity }]) => !/^sha512-[\w+/]{86}==$/.test(integrity ?? ""))).toEqual([]);
  const asked = Object.values({ ...manifest.dependencies, ...manifest.devDependencies });
  expect(asked.filter((version) => !/^\d+\.\d+\.\d+$/.test(version))).toEqual([]);
});

test("of all packages one may run a script when it is installed, and each that has one is decided on", () => {
  const name = (path: string) => path.split("node_modules/").at(-1) ?? "";
  const withScript = locked
    .filter(([, { hasInstallScript }]) => hasInstallScript)
    .map(([path]) => name(path));
  expect(Object.keys(manifest.allowScripts ?? {}).sort()).toEqual(withScript.sort());
  expect(Object.entries(manifest.allowScripts ?? {}).filter(([, may]) => may)).toEqual([["node", true]]);
});

test.each(["operator", "runtime"])(
  "the %s's image is built from the lock without scripts, and runs as a user by number",
  (image) => {
    const lines = read(`images/${image}/Dockerfile`).split("\n");
    const installs = lines.filter((line) => /\bnpm\b.*\b(ci|i|install)\b/.test(line));
    expect(installs.length).toBe(1);
    expect(installs[0]).toMatch(/^RUN npm ci --ignore-scripts\b/);
    expect(lines.filter((line) => line.startsWith("USER ")).at(-1)).toMatch(/^USER [1-9]\d*:[1-9]\d*$/);
    expect(lines.filter((line) => /^(ADD|RUN .*(curl|wget))\b/.test(line))).toEqual([]);
  },
);
