import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type FetchOptions, fetchArtifacts } from "../../../lib/artifacts/fetch-artifacts.ts";
import { fetchConfig } from "../../../lib/config/fetch.ts";
import { sha256 } from "../../support/file-server.ts";

const content = randomBytes(300_000);
const half = content.length / 2;
let directory: string;
let server: Server;
let asked: (string | undefined)[];
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "naru-lying-"));
  asked = [];
});
afterEach(async () => {
  server.close();
  server.closeAllConnections();
  await rm(directory, { recursive: true, force: true });
});

type Answer = (request: IncomingMessage, response: ServerResponse) => void;

/** Brings the file from a source that gives its answers in turn, the last of them for ever. */
async function bringFrom(
  answers: readonly Answer[],
  options: Partial<FetchOptions> = {},
  maxCacheBytes = 50_000_000,
) {
  server = createServer((request, response) => {
    response.on("error", () => undefined);
    answers[Math.min(asked.push(request.headers.range), answers.length) - 1]?.(request, response);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const uri = `http://127.0.0.1:${(server.address() as AddressInfo).port}/m`;
  const config = fetchConfig.parse({
    files: [{ path: "m.onnx", uri, sha256: sha256(content) }],
    maxCacheBytes,
  });
  await fetchArtifacts(config, {
    directory,
    owner: "pod-0",
    env: {},
    stallMilliseconds: 300,
    retry: { attempts: 3, totalAttempts: 10, minDelayMilliseconds: 1, maxDelayMilliseconds: 5 },
    ...options,
  });
}

const whole: Answer = (_, response) => response.end(content);
const cut: Answer = (_, response) => {
  response.writeHead(200, { "content-length": content.length, etag: '"a"' });
  response.write(content.subarray(0, half), () => response.destroy());
};
const endless = (response: ServerResponse) => {
  const more = () => {
    while (response.write(Buffer.alloc(64 * 1024)));
  };
  response.on("drain", more);
  more();
};
/** Bytes often enough for no time-out between two of them. */
function drip(socket: Socket | ServerResponse, bytes: string): void {
  const timer = setInterval(() => socket.write(bytes), 50);
  socket.on("close", () => clearInterval(timer));
}
const brought = async () => (await readFile(join(directory, "m.onnx"))).equals(content);

test("an error whose document comes byte by byte without end is the error that it is, and is tried again", async () => {
  const failing: Answer = (_, response) => {
    response.writeHead(500);
    drip(response, "x");
  };
  await bringFrom([failing, whole]);
  expect(await brought()).toBe(true);
});

test("an error whose document is cut is the error that it is, and is tried again", async () => {
  const failing: Answer = (_, response) => {
    response.writeHead(503, { "content-length": 1000 });
    response.write("<Error>", () => response.destroy());
  };
  await bringFrom([failing, whole]);
  expect(await brought()).toBe(true);
});

test("interim answers without end are no answer", async () => {
  const hinting: Answer = (request) => drip(request.socket, "HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n");
  await bringFrom([hinting, whole]);
  expect(await brought()).toBe(true);
});

test.each<[string, Record<string, string>, Buffer]>([
  ["another range", { "content-range": `bytes 0-${content.length - 1}/${content.length}` }, content],
  ["no Content-Range", {}, content.subarray(half)],
  ["several parts", { "content-type": "multipart/byteranges; boundary=x" }, content.subarray(half)],
])("a source that answers a range with %s is asked for the whole file", async (_, headers, body) => {
  const wrong: Answer = (_request, response) => {
    response.writeHead(206, headers);
    response.end(body);
  };
  await bringFrom([cut, wrong, whole]);
  expect(await brought()).toBe(true);
  expect(asked).toEqual([undefined, `bytes=${half}-`, undefined]);
});

test("bytes beyond the size that was told are not taken, and the file is brought anew", async () => {
  const more: Answer = (_, response) => {
    response.writeHead(206, {
      "content-range": `bytes ${half}-${content.length - 1}/${content.length}`,
      etag: '"a"',
    });
    endless(response);
  };
  await bringFrom([cut, more, whole]);
  expect(await brought()).toBe(true);
});

test("a file without end, of no told size, is refused by what the cache may hold, and takes no more of the disk than is free", async () => {
  const flood: Answer = (_, response) => endless(response);
  await expect(bringFrom([flood], {}, 3_000_000)).rejects.toMatchObject({
    code: "CacheTooSmall",
    message: expect.stringMatching(/needs 3\d{6} bytes/),
  });
  server.close();
  const full = { freeBytes: async () => 0 };
  await expect(bringFrom([flood], full)).rejects.toMatchObject({ code: "DiskFull" });
});

test("a source that says 416 though nothing but the whole was asked for has refused it", async () => {
  const refusing: Answer = (_, response) => response.writeHead(416).end();
  await expect(bringFrom([refusing])).rejects.toMatchObject({ code: "SourceRefused" });
});
