import { randomBytes } from "node:crypto";
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import {
  type FetchEvent,
  type FetchOptions,
  fetchArtifacts,
} from "../../../lib/artifacts/fetch-artifacts.ts";
import { fetchConfig } from "../../../lib/config/fetch.ts";
import { FileServer, sha256 } from "../../support/file-server.ts";

const content = randomBytes(3_000_000);
let directory: string;
let server: FileServer;
let uri: string;
let events: FetchEvent[];
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "naru-artifacts-"));
  server = new FileServer(content);
  uri = `http://127.0.0.1:${await server.listen()}/models/model.onnx`;
  events = [];
});
afterEach(async () => {
  server.close();
  await rm(directory, { recursive: true, force: true });
});

const retry = { attempts: 4, totalAttempts: 20, minDelayMilliseconds: 1, maxDelayMilliseconds: 5 };

function bring(overrides: Partial<FetchOptions> = {}, wanted = sha256(server.content), source = uri) {
  const config = fetchConfig.parse({ files: [{ path: "digits/model.onnx", uri: source, sha256: wanted }] });
  return fetchArtifacts(config, {
    directory,
    owner: "pod-0",
    env: {},
    retry,
    onEvent: (event) => events.push(event),
    ...overrides,
  });
}

const view = () => readFile(join(directory, "digits/model.onnx"));
const ranges = () => server.asked.map(({ headers }) => headers.range);
const partials = () => readdir(join(directory, "partial"));

test("a file is brought, verified, kept by its digest and shown under its path", async () => {
  await bring();
  expect((await view()).equals(content)).toBe(true);
  const blob = join(directory, "blobs/sha256", sha256(content));
  expect((await stat(blob)).ino).toBe((await stat(join(directory, "digits/model.onnx"))).ino);
  expect((await stat(blob)).mode & 0o777).toBe(0o444);
  expect(await partials()).toEqual([]);
  expect(events.at(-1)).toEqual({ kind: "fetched", path: "digits/model.onnx", bytes: content.length });
});

test("a cut connection is gone on from the byte where it was cut, on condition that the file is the same", async () => {
  server.mishaps.push({ cutAfter: 1_000_000 }, { cutAfter: 500_000 });
  await bring();
  expect((await view()).equals(content)).toBe(true);
  const [first, second, third] = ranges();
  expect(first).toBeUndefined();
  expect(Number(second?.match(/\d+/)?.[0])).toBeGreaterThan(0);
  expect(Number(third?.match(/\d+/)?.[0])).toBeGreaterThan(Number(second?.match(/\d+/)?.[0]));
  expect(server.asked[1]?.headers["if-range"]).toBe('"v1"');
  expect(server.asked.map(({ answered }) => answered)).toEqual([200, 206, 206]);
  expect(events.filter(({ kind }) => kind === "retry")).toHaveLength(2);
});

test("a connection that is open and brings nothing counts as cut", async () => {
  server.mishaps.push({ stallAfter: 1_000_000 });
  await bring({ stallMilliseconds: 200 });
  expect((await view()).equals(content)).toBe(true);
  expect(server.asked.map(({ answered }) => answered)).toEqual([200, 206]);
});

test("a file that changed between two parts is brought anew", async () => {
  server.mishaps.push({ cutAfter: 1_000_000 });
  const changed = randomBytes(2_000_000);
  await bring(
    {
      onEvent: ({ kind }) => {
        if (kind !== "retry") return;
        server.content = changed;
        server.etag = '"v2"';
      },
    },
    sha256(changed),
  );
  expect((await view()).equals(changed)).toBe(true);
  expect(server.asked.map(({ answered }) => answered)).toEqual([200, 200]);
});

test("without an ETag, parts of two different files are found by their digest and brought anew once", async () => {
  server.etag = undefined;
  server.mishaps.push({ cutAfter: 1_000_000 });
  const changed = randomBytes(3_000_000);
  await bring(
    {
      onEvent: ({ kind }) => {
        if (kind === "retry") server.content = changed;
      },
    },
    sha256(changed),
  );
  expect((await view()).equals(changed)).toBe(true);
  expect(server.asked.map(({ answered }) => answered)).toEqual([200, 206, 200]);
});

test("a source that ignores Range is read from the beginning", async () => {
  server.mishaps.push({ cutAfter: 1_000_000 }, { ignoreRange: true });
  await bring();
  expect((await view()).equals(content)).toBe(true);
});

test("a source that doesn't tell the size is read to its end", async () => {
  server.chunked = true;
  await bring();
  expect((await view()).equals(content)).toBe(true);
});

test("a wrong digest is refused, nothing gets a name, and nothing is left", async () => {
  await expect(bring({}, "0".repeat(64))).rejects.toMatchObject({
    code: "DigestMismatch",
    message: expect.stringContaining(sha256(content)),
  });
  await expect(view()).rejects.toThrow("ENOENT");
  await expect(readdir(join(directory, "blobs"))).rejects.toThrow("ENOENT");
  expect(await partials()).toEqual([]);
  expect(server.asked).toHaveLength(1);
});

test("what is here needs no source, whatever became of it", async () => {
  await bring();
  server.close();
  events = [];
  await bring();
  expect(events).toEqual([{ kind: "cached", path: "digits/model.onnx" }]);
});

test("a file on disk that is no longer what its name says is brought anew", async () => {
  await bring();
  const blob = join(directory, "blobs/sha256", sha256(content));
  await rm(blob);
  await writeFile(blob, "rotten");
  await bring();
  expect((await view()).equals(content)).toBe(true);
  expect(server.asked).toHaveLength(2);
});

test("attempts that bring nothing are bounded, and their bytes stay for the next time", async () => {
  server.mishaps.push({ cutAfter: 1_000_000 }, ...new Array(8).fill({ status: 503 }));
  await expect(bring()).rejects.toMatchObject({
    code: "SourceUnavailable",
    message: expect.stringMatching(/gave up after \d attempts: answered 503/),
  });
  expect(server.asked).toHaveLength(1 + 3);
  server.mishaps.length = 0;
  server.asked.length = 0;
  await bring();
  expect(server.asked[0]?.headers.range).toMatch(/^bytes=\d{5,}-$/);
  expect((await view()).equals(content)).toBe(true);
});

test("a whole file that its process did not live to name needs no source", async () => {
  const folder = join(directory, "partial");
  server.mishaps.push({ cutAfter: 1_000 });
  await expect(bring({ retry: { ...retry, attempts: 1 } })).rejects.toMatchObject({
    code: "SourceUnavailable",
  });
  await writeFile(join(folder, `${sha256(content)}.pod-0`), content);
  server.close();
  await bring();
  expect((await view()).equals(content)).toBe(true);
});

test("a download that another pod abandoned is gone on with; one that is alive is left alone", async () => {
  const failing = { retry: { ...retry, attempts: 1 } };
  server.mishaps.push({ cutAfter: 1_000_000 });
  await expect(bring({ ...failing, owner: "pod-a" })).rejects.toMatchObject({ code: "SourceUnavailable" });
  const later = Date.now() + 300_000;

  server.mishaps.push({ status: 500 });
  await expect(bring({ ...failing, owner: "pod-b" })).rejects.toMatchObject({ code: "SourceUnavailable" });
  expect(server.asked.at(-1)?.headers.range).toBeUndefined();

  await bring({ owner: "pod-c", now: () => later });
  expect(server.asked.at(-1)?.headers.range).toMatch(/^bytes=\d{5,}-$/);
  expect((await view()).equals(content)).toBe(true);
});

test.each([
  [401, "SourceForbidden"],
  [403, "SourceForbidden"],
  [404, "SourceNotFound"],
  [400, "SourceRefused"],
])("an answer of %i is %s at once", async (status, code) => {
  server.mishaps.push({ status });
  await expect(bring()).rejects.toMatchObject({ code });
  expect(server.asked).toHaveLength(1);
});

test("an abort ends the download, also while it waits to try again", async () => {
  server.mishaps.push(...new Array(20).fill({ status: 503 }));
  const abort = new AbortController();
  const brought = bring({
    signal: abort.signal,
    retry: { ...retry, minDelayMilliseconds: 60_000, maxDelayMilliseconds: 60_000 },
    onEvent: () => abort.abort(),
  });
  await expect(brought).rejects.toMatchObject({ name: "AbortError" });
});

test("files of this machine are copied, so that editing the source edits nothing here", async () => {
  const source = join(directory, "source.onnx");
  await writeFile(source, content);
  await bring({}, sha256(content), `file://${source}`);
  await writeFile(source, "edited");
  expect((await view()).equals(content)).toBe(true);
  await expect(bring({}, "0".repeat(64), `file://${directory}/none`)).rejects.toMatchObject({
    code: "SourceNotFound",
  });
  await expect(bring({}, "0".repeat(64), `file://${directory}`)).rejects.toMatchObject({
    code: "InvalidUri",
  });
});

test("a path that leaves the models directory or enters the cache's own folders is refused", async () => {
  for (const path of ["../x", "/etc/x", "a/../../x", "blobs/sha256/x", "./partial/x", "a/", ".", "a\0b"]) {
    const config = fetchConfig.parse({ files: [{ path, uri, sha256: sha256(content) }] });
    await expect(
      fetchArtifacts(config, { directory, owner: "pod-0", env: {} }),
      JSON.stringify(path),
    ).rejects.toMatchObject({ code: "InvalidPath" });
  }
});
