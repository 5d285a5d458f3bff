import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize, relative } from "node:path";
import { describe, expect, it } from "vitest";

/**
 * The floors of the house, from the ground. A file imports from its own floor's room or from a lower floor;
 * rooms of one floor do not know each other. CONTRIBUTING.md shows the same list.
 */
const ROOT = join(import.meta.dirname, "../..");

interface Room {
  readonly path: string;
  readonly floor: number;
}

const ROOMS: readonly Room[] = [
  { path: "lib", floor: 0 },
  { path: "crds", floor: 1 },
  // What the image's entry and its programs agree on: how a program is started.
  { path: "runtimes/runtime.ts", floor: 1 },
  { path: "runtimes/inference", floor: 2 },
  { path: "runtimes/router", floor: 2 },
  { path: "runtimes/fetch", floor: 2 },
  { path: "operator/engine", floor: 2 },
  { path: "operator/model-serving", floor: 3 },
  { path: "operator/kube", floor: 4 },
  { path: "operator/standalone", floor: 4 },
  { path: "runtimes", floor: 5 },
  { path: "operator", floor: 5 },
  { path: "cli", floor: 5 },
  { path: "scripts", floor: 5 },
];

/** Packages that could be swapped, and the one folder that may import each. */
const ONE_FOLDER: Readonly<Record<string, string>> = {
  "@kubernetes/client-node": "operator/kube",
  "@dagrejs/graphlib": "lib/graph",
  "onnxruntime-node": "lib/onnx",
  "@nats-io/": "lib/nats",
  sharp: "runtimes/inference/steps",
};

interface Import {
  readonly file: string;
  readonly target: string;
  readonly typeOnly: boolean;
}

function sourceFiles(): string[] {
  return ["agent", "cli", "crds", "lib", "operator", "runtimes", "scripts"]
    .flatMap((room) => list(join(ROOT, room)))
    .map((file) => relative(ROOT, file));
}

function list(folder: string): string[] {
  try {
    return readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && entry.name.endsWith(".ts"))
      .map((entry) => join(entry.parentPath, entry.name));
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return [];
    throw error;
  }
}

const STATIC = /^\s*(?:import|export)\s+(type\s+)?(?:[^'"`;]*?\sfrom\s+)?['"]([^'"]+)['"]/gm;
const DYNAMIC = /\bimport\(\s*['"]([^'"]+)['"]\s*\)/g;

function importsOf(file: string): Import[] {
  const text = readFileSync(join(ROOT, file), "utf8");
  return [
    ...[...text.matchAll(STATIC)].map((match) => ({
      file,
      target: match[2] ?? "",
      typeOnly: match[1] !== undefined,
    })),
    ...[...text.matchAll(DYNAMIC)].map((match) => ({ file, target: match[1] ?? "", typeOnly: false })),
  ];
}

function roomOf(file: string): Room | undefined {
  return ROOMS.filter((room) => file === room.path || file.startsWith(`${room.path}/`)).sort(
    (a, b) => b.path.length - a.path.length,
  )[0];
}

/** Why an import breaks the floors, or undefined. */
function broken({ file, target }: Import): string | undefined {
  if (!target.startsWith(".")) return undefined;
  const from = roomOf(file);
  const to = roomOf(normalize(join(dirname(file), target)));
  if (from === undefined || to === undefined) return `${file} imports ${target}: not a room of the house`;
  if (from === to || to.floor < from.floor) return undefined;
  // Programs' mains and the rooms above stand on one another: the CLI starts what scripts start.
  if (from.floor === 5 && to.floor === 5) return undefined;
  return `${file} (floor ${from.floor}) imports ${target} (${to.path}, floor ${to.floor})`;
}

const files = sourceFiles();
const imports = files.flatMap(importsOf);

describe("the floors", () => {
  it("are read from real files", () => {
    expect(files.length).toBeGreaterThan(20);
    expect(imports.length).toBeGreaterThan(files.length);
  });

  it("are never climbed by an import", () => {
    expect(imports.map(broken).filter((reason) => reason !== undefined)).toEqual([]);
  });

  it("would notice an import that climbs", () => {
    expect(broken({ file: "lib/errors.ts", target: "../crds/rules.ts", typeOnly: true })).toContain(
      "floor 1",
    );
    expect(broken({ file: "runtimes/router/a.ts", target: "../inference/b.ts", typeOnly: true })).toContain(
      "inference",
    );
  });

  it("let crds import zod and nothing else", () => {
    const foreign = imports.filter(
      ({ file, target }) => file.startsWith("crds/") && !target.startsWith(".") && target !== "zod",
    );
    expect(foreign).toEqual([]);
  });

  it("keep each swappable package in one folder", () => {
    const strays = imports.filter(({ file, target, typeOnly }) => {
      const folder = Object.entries(ONE_FOLDER).find(
        ([name]) => target === name || target.startsWith(name),
      )?.[1];
      return folder !== undefined && !typeOnly && !file.startsWith(`${folder}/`);
    });
    expect(strays).toEqual([]);
  });
});
