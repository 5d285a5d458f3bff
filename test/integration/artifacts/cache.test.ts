import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtemp, readdir, readFile, rm, utimes } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type FetchOptions, fetchArtifacts } from "../../../lib/artifacts/fetch-artifacts.ts";
import { fetchConfig } from "../../../lib/config/fetch.ts";
import { FileServer, sha256 } from "../../support/file-server.ts";

const models = ["a", "b", "c"].map((name) => ({ name, content: randomBytes(1_000_000) }));
let directory: string;
let servers: Map<string, { server: FileServer; uri: string; digest: string }>;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "naru-cache-"));
  servers = new Map();
  for (const { name, content } of models) {
    const server = new FileServer(content);
    servers.set(name, {
      server,
      uri: `http://127.0.0.1:${await server.listen()}/${name}`,
      digest: sha256(content),
    });
  }
});
afterEach(async () => {
  for (const { server } of servers.values()) server.close();
  await rm(directory, { recursive: true, force: true });
});

function bring(names: string[], maxCacheBytes: number, overrides: Partial<FetchOptions> = {}) {
  const files = names.map((name) => ({
    path: `${name}/model.onnx`,
    uri: servers.get(name)?.uri,
    sha256: servers.get(name)?.digest,
  }));
  return fetchArtifacts(fetchConfig.parse({ files, maxCacheBytes }), {
    directory,
    owner: "pod-0",
    env: {},
    retry: { attempts: 1, totalAttempts: 1, minDelayMilliseconds: 1, maxDelayMilliseconds: 1 },
    ...overrides,
  });
}

async function held(): Promise<string[]> {
  const digests = new Set(await readdir(join(directory, "blobs/sha256")));
  return [...servers].filter(([, { digest }]) => digests.has(digest)).map(([name]) => name);
}

test("the least recently used model leaves for the one that comes, its view with it", async () => {
  let clock = Date.now();
  const now = () => {
    clock += 3_600_000;
    return clock;
  };
  await bring(["a"], 2_500_000, { now });
  await bring(["b"], 2_500_000, { now });
  // Used again, so that b is the older one.
  await bring(["a"], 2_500_000, { now });
  const old = join(directory, "blobs/sha256", servers.get("b")?.digest ?? "");
  await utimes(old, new Date(0), new Date(0));
  await bring(["c"], 2_500_000, { now });
  expect(await held()).toEqual(["a", "c"]);
  await expect(readFile(join(directory, "b/model.onnx"))).rejects.toThrow("ENOENT");
  expect((await readFile(join(directory, "a/model.onnx"))).length).toBe(1_000_000);
});

test("files that are wanted together never leave for each other", async () => {
  await expect(bring(["a", "b", "c"], 2_500_000)).rejects.toMatchObject({ code: "CacheTooSmall" });
  expect(await held()).toEqual(["a", "b"]);
  await bring(["a", "b", "c"], 3_000_000);
  expect(await held()).toEqual(["a", "b", "c"]);
});

test("a model that another source's fetch brought a moment ago does not leave for the next", async () => {
  await bring(["a"], 2_500_000);
  await bring(["b"], 2_500_000);
  await expect(bring(["c"], 2_500_000)).rejects.toMatchObject({ code: "CacheTooSmall" });
  expect(await held()).toEqual(["a", "b"]);
});

test("a file larger than the cache is refused, also when its size is not told before", async () => {
  await expect(bring(["a"], 999_999)).rejects.toMatchObject({ code: "CacheTooSmall" });
  const chunked = servers.get("b")?.server;
  if (chunked) chunked.chunked = true;
  await expect(bring(["b"], 999_999)).rejects.toMatchObject({ code: "CacheTooSmall" });
});

test("room on the disk is made before the download, and a disk with too little is told before a byte is written", async () => {
  const later = Date.now() + 3_600_000;
  await bring(["a"], 10_000_000);
  const freeAfterEviction = async () => ((await held()).includes("a") ? 500_000 : 1_500_000);
  await bring(["b"], 10_000_000, { freeBytes: freeAfterEviction, now: () => later });
  expect(await held()).toEqual(["b"]);
  await expect(bring(["c"], 10_000_000, { freeBytes: async () => 999_999 })).rejects.toMatchObject({
    code: "DiskFull",
    message: expect.stringContaining("1000000 bytes needed, 999999 free"),
  });
});

test("a disk that fills up during the download is told as DiskFull", async (context) => {
  // A disk of its own, as small as the test wants it, in a mount namespace of its own.
  const program = join(directory, "fill.ts");
  const { uri, digest } = servers.get("a") ?? { uri: "", digest: "" };
  const script = [
    `mount -t tmpfs -o size=700k none ${directory} || exit 77`,
    `cat > ${program}`,
    `${process.execPath} ${program}`,
  ].join("; ");
  const source = `
    import { fetchArtifacts } from "${join(import.meta.dirname, "../../../lib/artifacts/fetch-artifacts.ts")}";
    const options = { directory: "${directory}", owner: "p", env: {}, freeBytes: async () => 1e9 };
    const config = { files: [{ path: "m", uri: "${uri}", sha256: "${digest}" }], maxCacheBytes: 1e9, s3: {} };
    const first = await fetchArtifacts(config, options).catch((error) => error.code);
    process.stdout.write(String(first));
  `;
  const child = promisify(execFile)("unshare", ["-rm", "sh", "-c", script]);
  child.child.stdin?.end(source);
  const outcome = await child.catch((error: { code?: unknown; stderr?: string }) => error);
  if ("code" in outcome && (outcome.code === 77 || /unshare/.test(outcome.stderr ?? ""))) {
    context.skip(`no mount namespace here: ${outcome.stderr}`);
  }
  expect("stdout" in outcome && outcome.stdout).toBe("DiskFull");
});
