import { randomBytes } from "node:crypto";
import type { LookupAddress } from "node:dns";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer as createTlsServer } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { fetchArtifacts } from "../../../lib/artifacts/fetch-artifacts.ts";
import type { AllLookup } from "../../../lib/artifacts/transport.ts";
import { fetchConfig } from "../../../lib/config/fetch.ts";
import { type Certificates, makeCertificates } from "../../support/certificates.ts";
import { ConnectProxy } from "../../support/connect-proxy.ts";
import { FileServer, sha256 } from "../../support/file-server.ts";

const content = randomBytes(100_000);
let folder: string;
let certificates: Certificates;
let directory: string;
let plain: FileServer;
let plainPort: number;
let secure: FileServer;
let securePort: number;
let proxy: ConnectProxy;
let proxyUrl: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "naru-certificates-"));
  certificates = await makeCertificates(folder);
});
afterAll(() => rm(folder, { recursive: true, force: true }));
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "naru-transport-"));
  plain = new FileServer(content);
  plainPort = await plain.listen();
  secure = new FileServer(content, createTlsServer({ key: certificates.key, cert: certificates.cert }));
  securePort = await secure.listen();
  proxy = new ConnectProxy();
  proxyUrl = await proxy.listen();
});
afterEach(async () => {
  plain.close();
  secure.close();
  proxy.close();
  await rm(directory, { recursive: true, force: true });
});

/** A resolver that knows these names; of others it knows nothing. */
function resolver(names: Record<string, string[]>): AllLookup {
  return (hostname, _options, callback) => {
    const found = names[hostname] ?? (/^[\d.:a-f]+$/.test(hostname) ? [hostname] : undefined);
    const answers: LookupAddress[] = (found ?? []).map((address) => ({
      address,
      family: address.includes(":") ? 6 : 4,
    }));
    if (found === undefined) callback(Object.assign(new Error("not found"), { code: "ENOTFOUND" }), []);
    else callback(null, answers);
  };
}

function bring(uri: string, env: NodeJS.ProcessEnv = {}, names: Record<string, string[]> = {}, s3 = {}) {
  const config = fetchConfig.parse({ files: [{ path: "model.onnx", uri, sha256: sha256(content) }], s3 });
  return fetchArtifacts(config, {
    directory,
    owner: "pod-0",
    env,
    lookup: resolver({ localhost: ["127.0.0.1"], ...names }),
    retry: { attempts: 1, totalAttempts: 1, minDelayMilliseconds: 1, maxDelayMilliseconds: 1 },
  });
}
const brought = async () => (await readFile(join(directory, "model.onnx"))).equals(content);

test("a source of a private authority is trusted by its certificate file, and not without", async () => {
  const uri = `https://localhost:${securePort}/model.onnx`;
  await expect(bring(uri)).rejects.toMatchObject({ code: "SourceUntrusted" });
  await bring(uri, { NARU_CA_FILE: certificates.caFile });
  expect(await brought()).toBe(true);
  await expect(bring(uri, { NARU_CA_FILE: join(folder, "none") })).rejects.toThrow("NARU_CA_FILE");
});

test("a bearer token goes to the source, and to no other origin that it redirects to", async () => {
  const tokenFile = join(folder, "token");
  await writeFile(tokenFile, "secret\n");
  secure.mishaps.push({ status: 302, headers: { location: `http://127.0.0.1:${plainPort}/elsewhere` } });
  await bring(`https://localhost:${securePort}/model.onnx?x=1`, {
    NARU_CA_FILE: certificates.caFile,
    BEARER_TOKEN_FILE: tokenFile,
  });
  expect(await brought()).toBe(true);
  expect(secure.asked[0]).toMatchObject({
    path: "/model.onnx?x=1",
    headers: { authorization: "Bearer secret" },
  });
  expect(plain.asked[0]?.headers.authorization).toBeUndefined();
});

test("redirects are followed five times and no more", async () => {
  const uri = `http://127.0.0.1:${plainPort}/model.onnx`;
  const redirect = { status: 307, headers: { location: "/again" } };
  plain.mishaps.push(...new Array(5).fill(redirect));
  await bring(uri);
  expect(await brought()).toBe(true);
  await rm(join(directory, "blobs"), { recursive: true });
  plain.mishaps.push(...new Array(6).fill(redirect));
  await expect(bring(uri)).rejects.toMatchObject({ code: "InvalidUri" });
});

test("plain http is refused but for loopback, or where it is allowed", async () => {
  const names = { "models.test": ["127.0.0.1"] };
  const uri = `http://models.test:${plainPort}/model.onnx`;
  await expect(bring(uri, {}, names)).rejects.toMatchObject({ code: "PlainHttpRefused" });
  secure.mishaps.push({ status: 302, headers: { location: uri } });
  await expect(
    bring(`https://localhost:${securePort}/`, { NARU_CA_FILE: certificates.caFile }, names),
  ).rejects.toMatchObject({ code: "PlainHttpRefused" });
  expect(plain.asked).toHaveLength(0);
  await bring(uri, { NARU_ALLOW_PLAIN_HTTP: "1" }, names);
  expect(await brought()).toBe(true);
});

const refused = { code: "AddressRefused" };

test("a metadata address is refused where a URI, an S3 endpoint, a DNS answer or a redirect leads to it", async () => {
  const allow = { NARU_ALLOW_PLAIN_HTTP: "1" };
  await expect(bring("https://169.254.169.254/latest")).rejects.toMatchObject(refused);
  await expect(bring("http://2852039166/latest", allow)).rejects.toMatchObject(refused);
  await expect(bring("https://[::ffff:a9fe:a9fe]/")).rejects.toMatchObject(refused);
  await expect(
    bring("s3://models/key", {}, {}, { endpoint: "http://169.254.169.254" }),
  ).rejects.toMatchObject(refused);
  const names = { "evil.test": ["10.0.0.1", "169.254.169.254"], "six.test": ["fe80::1"] };
  await expect(bring("https://evil.test/model", {}, names)).rejects.toMatchObject(refused);
  await expect(bring("https://six.test/model", {}, names)).rejects.toMatchObject(refused);

  for (const location of [
    "http://169.254.169.254/",
    "//0xa9fea9fe/",
    "https://evil.test/",
    "http://[fd00:ec2::254]/",
  ]) {
    plain.mishaps.push({ status: 301, headers: { location } });
    await expect(bring(`http://127.0.0.1:${plainPort}/`, allow, names), location).rejects.toMatchObject(
      refused,
    );
  }
});

test("a name whose answer changes between the check and the connection is refused at the connection", async () => {
  let asked = 0;
  const rebinding: AllLookup = (_hostname, _options, callback) => {
    asked++;
    callback(null, [{ address: asked === 1 ? "127.0.0.1" : "169.254.169.254", family: 4 }]);
  };
  const config = fetchConfig.parse({
    files: [{ path: "m", uri: `https://models.test:${securePort}/`, sha256: sha256(content) }],
  });
  await expect(
    fetchArtifacts(config, { directory, owner: "p", env: {}, lookup: rebinding }),
  ).rejects.toMatchObject(refused);
  expect(asked).toBe(2);
});

test("https goes through the proxy in a tunnel, with the source's own certificate checked inside it", async () => {
  const env = { HTTPS_PROXY: proxyUrl, NARU_CA_FILE: certificates.caFile };
  await bring(`https://localhost:${securePort}/model.onnx`, env);
  expect(await brought()).toBe(true);
  expect(proxy.asked).toEqual([`localhost:${securePort}`]);
});

test("a name that only the proxy can resolve is left to it", async () => {
  proxy.names.set("models.test", "127.0.0.1");
  const env = { https_proxy: proxyUrl, NARU_CA_FILE: certificates.caFile };
  await bring(`https://models.test:${securePort}/model.onnx`, env);
  expect(await brought()).toBe(true);
});

test("NO_PROXY names who is asked directly", async () => {
  const env = { HTTPS_PROXY: proxyUrl, NO_PROXY: "localhost", NARU_CA_FILE: certificates.caFile };
  await bring(`https://localhost:${securePort}/model.onnx`, env);
  expect(await brought()).toBe(true);
  expect(proxy.asked).toEqual([]);
});

test("a metadata address is refused through a proxy too, and the proxy is not asked", async () => {
  const env = { HTTP_PROXY: proxyUrl, HTTPS_PROXY: proxyUrl, NARU_ALLOW_PLAIN_HTTP: "1" };
  const names = { "evil.test": ["169.254.169.254"] };
  for (const uri of [
    "http://169.254.169.254/latest/meta-data/",
    "https://169.254.169.254/",
    "http://metadata.google.internal/computeMetadata/v1/",
    "http://evil.test/",
    "https://evil.test/",
  ]) {
    await expect(bring(uri, env, names), uri).rejects.toMatchObject(refused);
  }
  expect(proxy.asked).toEqual([]);
  plain.mishaps.push({ status: 302, headers: { location: "http://169.254.169.254/latest" } });
  await expect(bring(`http://127.0.0.1:${plainPort}/`, env)).rejects.toMatchObject(refused);
  expect(proxy.asked).toEqual([`http://127.0.0.1:${plainPort}/`]);
});

test("a pod identity endpoint that is neither https nor a known local agent is refused", async () => {
  const env = { AWS_CONTAINER_CREDENTIALS_FULL_URI: "http://10.0.0.1/credentials" };
  await expect(bring("s3://models/key", env)).rejects.toMatchObject({ code: "CredentialsUnavailable" });
});

test("a source that can't be reached is unavailable, with the reason and without the query", async () => {
  plain.close();
  await expect(bring(`http://127.0.0.1:${plainPort}/m?token=secret`)).rejects.toMatchObject({
    code: "SourceUnavailable",
    message: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+\/m: gave up after 1 attempts: .*ECONNREFUSED/),
  });
});
