import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { FileServer, sha256 } from "../../support/file-server.ts";

const content = randomBytes(2_000_000);
let directory: string;
let server: FileServer;
let uri: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "naru-fetch-"));
  server = new FileServer(content);
  uri = `http://127.0.0.1:${await server.listen()}/model.onnx`;
});
afterEach(async () => {
  server.close();
  await rm(directory, { recursive: true, force: true });
});

/** Starts `runtimes/main.ts fetch` as the init container does. */
async function start(config: unknown) {
  await writeFile(join(directory, "fetch.json"), JSON.stringify(config));
  const child = spawn(process.execPath, [join(import.meta.dirname, "../../../runtimes/main.ts"), "fetch"], {
    env: {
      ...process.env,
      NARU_CONFIG_DIR: directory,
      NARU_MODELS_DIR: join(directory, "models"),
      NARU_POD_NAME: "digits-0",
      NARU_TERMINATION_LOG: join(directory, "termination"),
    },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const lines: string[] = [];
  child.stdout.on("data", (chunk) => lines.push(...String(chunk).trim().split("\n")));
  const end = once(child, "close") as Promise<[number | null, string | null]>;
  return { child, lines, end };
}

const config = (digest: string) => ({ files: [{ path: "digits/model.onnx", uri, sha256: digest }] });

test("it brings the files, says so and exits 0; run again, it asks the source for nothing", async () => {
  const first = await start(config(sha256(content)));
  expect(await first.end).toEqual([0, null]);
  expect((await readFile(join(directory, "models/digits/model.onnx"))).equals(content)).toBe(true);
  expect(first.lines.map((line) => JSON.parse(line))).toMatchObject([
    {
      level: "info",
      program: "fetch",
      path: "digits/model.onnx",
      bytes: content.length,
      msg: "fetched and verified",
    },
    { level: "info", files: 1, msg: "all files are here and verified" },
  ]);
  server.close();
  const second = await start(config(sha256(content)));
  expect(await second.end).toEqual([0, null]);
  expect(server.asked).toHaveLength(1);
});

test("killed in the middle of a download, it goes on from the byte that it had", async () => {
  server.mishaps.push({ stallAfter: 1_234_567 });
  const first = await start(config(sha256(content)));
  const partial = join(directory, "models/partial", `${sha256(content)}.digits-0`);
  await vi.waitFor(async () => expect((await stat(partial)).size).toBe(1_234_567), {
    timeout: 20_000,
    interval: 10,
  });
  first.child.kill("SIGKILL");
  await first.end;

  const second = await start(config(sha256(content)));
  expect(await second.end).toEqual([0, null]);
  expect(server.asked[1]).toMatchObject({
    answered: 206,
    headers: { range: "bytes=1234567-", "if-range": '"v1"' },
  });
  expect((await readFile(join(directory, "models/digits/model.onnx"))).equals(content)).toBe(true);
});

test("killed again and again at any moment, it comes to the end, and no byte is fetched much more than once", async () => {
  // About a second of download, and each life of the program sees a part of it.
  server.trickle = 4000;
  let kills = 0;
  for (; kills < 12; kills++) {
    const program = await start(config(sha256(content)));
    const seen = server.asked.length;
    const killer = vi
      .waitFor(() => expect(server.asked.length).toBeGreaterThan(seen), { timeout: 20_000, interval: 5 })
      .then(() => new Promise((resolve) => setTimeout(resolve, 30 * kills)))
      .then(() => program.child.kill("SIGKILL"));
    const [code] = await program.end;
    if (code === 0) {
      killer.catch(() => undefined);
      break;
    }
    await killer;
    // It may have died between giving the blob its name and ending; what has a name is whole.
    const blob = await readFile(join(directory, "models/blobs/sha256", sha256(content))).catch(
      () => undefined,
    );
    if (blob !== undefined) expect(blob.equals(content)).toBe(true);
  }
  expect(kills).toBeGreaterThan(1);
  expect((await readFile(join(directory, "models/digits/model.onnx"))).equals(content)).toBe(true);
  // What was on its way in a socket when the program died is fetched again.
  expect(server.written).toBeLessThan(content.length + kills * 300_000);
});

test("SIGTERM in the middle ends it at once and not with success", async () => {
  server.mishaps.push({ stallAfter: 1000 });
  const program = await start(config(sha256(content)));
  await vi.waitFor(() => expect(server.asked).toHaveLength(1), { timeout: 20_000, interval: 10 });
  program.child.kill("SIGTERM");
  expect(await program.end).toEqual([143, null]);
});

test.each([
  ["a wrong digest", () => config("0".repeat(64)), "DigestMismatch"],
  ["a configuration that is none", () => ({ files: [] }), "InvalidConfig"],
])("%s ends it with 1 and the reason as its termination message", async (_name, made, code) => {
  const program = await start(made());
  expect(await program.end).toEqual([1, null]);
  const termination = JSON.parse(await readFile(join(directory, "termination"), "utf8"));
  expect(termination).toEqual({ code, message: expect.any(String), remedy: expect.any(String) });
  expect(program.lines.some((line) => JSON.parse(line).level === "fatal")).toBe(true);
});
