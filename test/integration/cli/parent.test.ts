import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import fs from "node:fs/promises";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { openStandalone } from "../../../operator/standalone/client.ts";
import { eventually } from "../../support/eventually.ts";
import { digitsYaml, folderWith } from "./naru-process.ts";

const root = new URL("../../../", import.meta.url).pathname;
const started: ChildProcess[] = [];
let dir: string;
let pid: number | undefined;

beforeEach(async () => {
  dir = await folderWith(digitsYaml);
});
afterEach(async () => {
  const left = pid;
  pid = undefined;
  if (left !== undefined && alive(left)) {
    process.kill(left, "SIGTERM");
    await eventually("the end of naru up", () => !alive(left));
  }
  for (const child of started.splice(0)) child.kill("SIGKILL");
  await fs.rm(dir, { recursive: true, force: true });
});

/** Not `npm_…`: whether npx started the program under test is up to each test. */
const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("npm_")));

function start(command: string, ...args: string[]): ChildProcess {
  const child = spawn(command, args, { cwd: root, env, stdio: "ignore" });
  started.push(child);
  return child;
}

/** The process id of the `naru up` of the folder, once it answers. */
async function served(): Promise<number> {
  const answer = await eventually("naru up to answer", async () => {
    const client = openStandalone(dir);
    return client.running && (await client.info());
  });
  pid = answer.pid;
  return answer.pid;
}

function alive(process: number): boolean {
  const file = `/proc/${process}/stat`;
  return existsSync(file) && !readFileSync(file, "utf8").includes(") Z ");
}

const parentOf = (process: number) =>
  Number(/^PPid:\s*(\d+)$/m.exec(readFileSync(`/proc/${process}/status`, "utf8"))?.[1]);

describe("naru up, when what started it ends", () => {
  test("ends with the npx that was sent SIGTERM, in order", async () => {
    const npx = start("npx", "naru", "up", dir);
    const up = await served();
    npx.kill("SIGTERM");
    await eventually("naru up to end", () => !alive(up));
    // What ended in order gave its folder back; what was killed did not.
    expect(existsSync(`${dir}/.naru/up.json`)).toBe(false);
  });

  test("ends with a launcher that was killed, in order", async () => {
    // What bin/naru does on an older Node.js: it runs itself again on the pinned one.
    const launch = `require("node:child_process").spawn(process.execPath, ["bin/naru", "up", process.argv[1]], {
      stdio: "ignore", env: { ...process.env, NARU_LAUNCHER_PID: String(process.pid) } })`;
    const launcher = start(process.execPath, "-e", launch, dir);
    const up = await served();
    launcher.kill("SIGKILL");
    await eventually("naru up to end", () => !alive(up));
    expect(existsSync(`${dir}/.naru/up.json`)).toBe(false);
  });

  test("goes on without the shell that it was left to run in", async () => {
    const shell = start("sh", "-c", `'${process.execPath}' bin/naru up '${dir}' &`);
    await once(shell, "exit");
    const up = await served();
    expect(parentOf(up)).not.toBe(shell.pid);
    const since = performance.now();
    // For longer than what watches its parent takes to act.
    await eventually("it to have been left alone", () => performance.now() - since > 2500);
    expect((await openStandalone(dir).info()).pid).toBe(up);
  });

  test("ends with a test that was killed", async () => {
    const up = `const { Up } = await import("./test/integration/cli/naru-process.ts"); new Up(process.argv[1]);`;
    const harness = start(process.execPath, "--input-type=module", "-e", up, dir);
    const serving = await served();
    const pods = await eventually("a pod", async () => {
      const pids = (await fs.readdir(`${dir}/.naru/processes`)).map(Number);
      return pids.length > 0 && pids;
    });
    harness.kill("SIGKILL");
    // Nobody reads what it prints any more, so that it may fall rather than drain; its pods drain either way.
    await eventually("nothing to be left", () => ![serving, ...pods].some(alive));
  });
});
