import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtemp, readdir, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { assemble } from "../../../scripts/image/assemble.ts";

const root = resolve(import.meta.dirname, "../../..");
const TIME = 1_700_000_000;
let scratch: string;
let dist: string;

beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), "naru-image-"));
  dist = join(scratch, "built");
  const tsc = join(root, "node_modules/typescript/bin/tsc");
  await promisify(execFile)(process.execPath, [
    tsc,
    "-p",
    join(root, "tsconfig.build.json"),
    "--outDir",
    dist,
  ]);
});
afterAll(() => rm(scratch, { recursive: true, force: true }));

async function image(entry: string, name: string): Promise<{ folder: string; packages: readonly string[] }> {
  const folder = join(scratch, name);
  const { packages } = await assemble({ root, dist, entry, folder, time: TIME });
  return { folder, packages };
}

/** Runs a program of an image as a container would, outside the repository; answers its exit code and what it said. */
async function run(folder: string, args: string[], env: Record<string, string> = {}) {
  try {
    const done = await promisify(execFile)(process.execPath, args, { cwd: folder, env });
    return { code: 0, said: done.stdout };
  } catch (failed) {
    const { code, stdout } = failed as { code: number; stdout: string };
    return { code, said: stdout };
  }
}

test("the operator's image runs, and holds no model runtime", async () => {
  const { folder, packages } = await image("operator/main.js", "operator");
  expect(packages).toContain("@kubernetes/client-node");
  for (const foreign of ["onnxruntime-node", "sharp", "fastify", "node", "typescript"]) {
    expect(packages).not.toContain(foreign);
  }
  const { version } = JSON.parse(await readFile(join(root, "package.json"), "utf8"));
  expect(await run(folder, ["dist/operator/main.js", "--version"])).toEqual({
    code: 0,
    said: `${version}\n`,
  });
  // Everything is loaded by the time that it misses its API server.
  const args = ["--runtime-image=x", "--namespace=x", "--health-address=0", "--metrics-address=0"];
  const { code, said } = await run(folder, ["dist/operator/main.js", ...args], {
    KUBECONFIG: join(folder, "none"),
  });
  expect(code).toBe(1);
  expect(said).toContain("KubeConfigUnusable");
});

test("the runtimes' image runs each of its programs, and holds no Kubernetes client", async () => {
  const { folder, packages } = await image("runtimes/main.js", "runtimes");
  expect(packages).toContain("onnxruntime-node");
  for (const foreign of ["@kubernetes/client-node", "commander", "node", "typescript"]) {
    expect(packages).not.toContain(foreign);
  }
  for (const program of ["inference", "fetch"]) {
    const { code, said } = await run(folder, ["dist/runtimes/main.js", program], {
      NARU_CONFIG_DIR: scratch,
    });
    expect(code).toBe(1);
    expect(said).toContain("InvalidConfig");
  }
  const native =
    'await import("onnxruntime-node"); await import("sharp"); await import("./dist/runtimes/router/main.js")';
  expect(await run(folder, ["--input-type=module", "--eval", native])).toEqual({ code: 0, said: "" });
});

test("equal sources give equal bytes, times and modes", async () => {
  const [first, second] = [
    await image("operator/main.js", "first"),
    await image("operator/main.js", "second"),
  ];
  const sum = await digestOf(first.folder);
  expect(await digestOf(second.folder)).toBe(sum);
  expect((await stat(join(first.folder, "dist"))).mtimeMs).toBe(TIME * 1000);
});

/** Of names, modes, times and contents. */
async function digestOf(folder: string): Promise<string> {
  const sum = createHash("sha256");
  const names = (await readdir(folder, { recursive: true })).sort();
  for (const name of ["", ...names]) {
    const found = await stat(join(folder, name));
    sum.update(`${name} ${found.mode} ${found.mtimeMs}\n`);
    if (found.isFile()) sum.update(await readFile(join(folder, name)));
  }
  return sum.digest("hex");
}
