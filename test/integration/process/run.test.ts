import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { RawConnection } from "../../support/raw-http.ts";

let directory: string;
let child: ChildProcess | undefined;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "naru-run-"));
});
afterEach(async () => {
  child?.kill("SIGKILL");
  await rm(directory, { recursive: true });
});

function start(env: Record<string, string> = {}) {
  const program = join(import.meta.dirname, "served-program.ts");
  const started = spawn(process.execPath, [program], {
    env: { ...process.env, NARU_TERMINATION_LOG: join(directory, "termination"), ...env },
    stdio: ["ignore", "pipe", "inherit"],
  });
  child = started;
  let output = "";
  started.stdout.on("data", (chunk) => {
    output += chunk;
  });
  const exit = once(started, "close") as Promise<[number | null, string | null]>;
  const until = (pattern: RegExp) =>
    new Promise<RegExpExecArray>((resolve, reject) => {
      const look = () => {
        const match = pattern.exec(output);
        if (match) resolve(match);
      };
      started.stdout.on("data", look);
      exit.then(() => reject(new Error(`ended without ${pattern}: ${output}`)), reject);
      look();
    });
  const port = () => until(/port (\d+)/).then((match) => Number(match[1]));
  return { process: started, exit, until, port, output: () => output };
}

const termination = async () => JSON.parse(await readFile(join(directory, "termination"), "utf8"));

test("the first SIGTERM drains: an idle connection is still served, then the program exits 0", async () => {
  const program = start();
  const idle = await RawConnection.open(await program.port());
  await idle.request("/");
  const drains = program.until(/"drains"/);
  program.process.kill("SIGTERM");
  await drains;
  expect((await idle.request("/")).head).toContain("connection: close");
  expect(await program.exit).toEqual([0, null]);
});

test.each([
  ["SIGTERM", 143],
  ["SIGINT", 130],
] as const)("a second signal, %s, stops at once and exits %i", async (signal, code) => {
  const program = start();
  const idle = await RawConnection.open(await program.port());
  await idle.request("/");
  const drains = program.until(/"drains"/);
  program.process.kill("SIGINT");
  await drains;
  program.process.kill(signal);
  expect(await program.exit).toEqual([code, null]);
  await idle.untilClosed();
});

test("a program that can't start exits 1 and says why in its log and its termination message", async () => {
  const program = start({ FAIL: "start" });
  expect(await program.exit).toEqual([1, null]);
  expect(await termination()).toEqual({
    code: "DigestMismatch",
    message: "not the model",
    remedy: "Give the right digest.",
  });
  expect(program.output()).toContain('"level":"fatal"');
});

test("a signal before the program serves ends it with the signal's status, since its work is not done", async () => {
  const program = start({ FAIL: "never starts" });
  await program.until(/starts/);
  program.process.kill("SIGTERM");
  expect(await program.exit).toEqual([143, null]);
});

test("an error that nobody waits for ends the program with a termination message", async () => {
  const program = start();
  const connection = await RawConnection.open(await program.port());
  connection.send("GET /throw HTTP/1.1\r\nhost: test\r\n\r\n");
  expect(await program.exit).toEqual([1, null]);
  expect(await termination()).toMatchObject({ code: "InternalError", message: "nobody waits for this" });
});
