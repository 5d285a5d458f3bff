import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer, request } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { fetchArtifacts } from "../../../lib/artifacts/fetch-artifacts.ts";
import { fetchConfig } from "../../../lib/config/fetch.ts";
import { sha256 } from "../../support/file-server.ts";
import { findS3Server, S3_KEYS, S3_REGION, S3Server } from "../../support/s3-server.ts";

const program = findS3Server();
if (program === undefined) {
  process.stderr.write("skipped: S3 tests, no versitygw on PATH; test/support/install-s3.sh builds it\n");
}

const ODD_KEY = "digits/2/model 1+1=2 (ü,한글)!'*%20&~.onnx";

describe.skipIf(program === undefined)("against a real S3-compatible server", () => {
  const content = randomBytes(2_000_000);
  let server: S3Server;
  let directory: string;
  beforeAll(async () => {
    server = await S3Server.start(program ?? "");
    await server.put("models");
    await server.put("models", "digits/model.onnx", content);
    await server.put("models", ODD_KEY, content);
  });
  afterAll(() => server.stop());
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "naru-s3-models-"));
  });
  afterEach(() => rm(directory, { recursive: true, force: true }));

  function bring(uri: string, env: NodeJS.ProcessEnv = S3_KEYS, s3: object = {}) {
    const config = fetchConfig.parse({
      files: [{ path: "model.onnx", uri, sha256: sha256(content) }],
      s3: { endpoint: server.endpoint, region: S3_REGION, ...s3 },
    });
    return fetchArtifacts(config, {
      directory,
      owner: "pod-0",
      env,
      retry: { attempts: 3, totalAttempts: 10, minDelayMilliseconds: 1, maxDelayMilliseconds: 2 },
    });
  }
  const brought = async () => (await readFile(join(directory, "model.onnx"))).equals(content);

  test.each(["digits/model.onnx", ODD_KEY])(
    "the object %s is brought with a signature that the server accepts",
    async (key) => {
      await bring(`s3://models/${key}`);
      expect(await brought()).toBe(true);
    },
  );

  test("a cut connection is gone on from its byte, signed anew", async () => {
    const ranges: (string | undefined)[] = [];
    const proxy = createServer((incoming, outgoing) => {
      ranges.push(incoming.headers.range);
      const upstream = request(
        `${server.endpoint}${incoming.url}`,
        { headers: incoming.headers },
        (answer) => {
          outgoing.writeHead(answer.statusCode ?? 500, answer.headers);
          let sent = 0;
          answer.on("data", (chunk: Buffer) => {
            outgoing.write(chunk);
            sent += chunk.length;
            if (ranges.length === 1 && sent > 500_000) outgoing.destroy();
          });
          answer.on("end", () => outgoing.end());
        },
      );
      upstream.end();
    });
    proxy.listen(0, "127.0.0.1");
    await once(proxy, "listening");
    const { port } = proxy.address() as AddressInfo;
    await bring("s3://models/digits/model.onnx", S3_KEYS, { endpoint: `http://127.0.0.1:${port}` });
    proxy.close();
    expect(await brought()).toBe(true);
    expect(ranges).toHaveLength(2);
    expect(ranges[1]).toMatch(/^bytes=\d{5,}-$/);
  });

  test("a wrong secret and no credentials are SourceForbidden, with the store's own reason", async () => {
    const uri = "s3://models/digits/model.onnx";
    await expect(bring(uri, { ...S3_KEYS, AWS_SECRET_ACCESS_KEY: "wrong" })).rejects.toMatchObject({
      code: "SourceForbidden",
      message: expect.stringContaining("SignatureDoesNotMatch"),
    });
    await expect(bring(uri, {})).rejects.toMatchObject({ code: "SourceForbidden" });
  });

  test("a missing object and a missing bucket are SourceNotFound, a wrong region is told", async () => {
    await expect(bring("s3://models/none.onnx")).rejects.toMatchObject({
      code: "SourceNotFound",
      message: expect.stringContaining("NoSuchKey"),
    });
    await expect(bring("s3://nobucket/none.onnx")).rejects.toMatchObject({ code: "SourceNotFound" });
    await expect(
      bring("s3://models/digits/model.onnx", S3_KEYS, { region: "us-east-1" }),
    ).rejects.toMatchObject({
      message: expect.stringMatching(/AuthorizationHeaderMalformed|InvalidRegion|SignatureDoesNotMatch/),
    });
  });

  test("keys from a web identity and from a pod identity sign what the server accepts", async () => {
    const expires = new Date(Date.now() + 3_600_000).toISOString();
    const asked: { url: string; authorization: string | undefined; body: string }[] = [];
    const identity = createServer(async (incoming, outgoing) => {
      let body = "";
      for await (const chunk of incoming) body += chunk;
      asked.push({ url: incoming.url ?? "", authorization: incoming.headers.authorization, body });
      if (incoming.url === "/pod") {
        outgoing.end(
          JSON.stringify({
            AccessKeyId: S3_KEYS.AWS_ACCESS_KEY_ID,
            SecretAccessKey: S3_KEYS.AWS_SECRET_ACCESS_KEY,
            Expiration: expires,
          }),
        );
        return;
      }
      outgoing.end(
        `<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials>
          <AccessKeyId>${S3_KEYS.AWS_ACCESS_KEY_ID}</AccessKeyId>
          <SecretAccessKey>${S3_KEYS.AWS_SECRET_ACCESS_KEY}</SecretAccessKey>
          <Expiration>${expires}</Expiration></Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>`,
      );
    });
    identity.listen(0, "127.0.0.1");
    await once(identity, "listening");
    const base = `http://127.0.0.1:${(identity.address() as AddressInfo).port}`;
    const tokenFile = join(directory, "token");
    await writeFile(tokenFile, "a.service.account.token\n");

    await bring("s3://models/digits/model.onnx", {
      AWS_WEB_IDENTITY_TOKEN_FILE: tokenFile,
      AWS_ROLE_ARN: "arn:aws:iam::123456789012:role/models",
      AWS_ENDPOINT_URL_STS: base,
    });
    expect(await brought()).toBe(true);
    expect(Object.fromEntries(new URLSearchParams(asked[0]?.body))).toEqual({
      Action: "AssumeRoleWithWebIdentity",
      Version: "2011-06-15",
      RoleArn: "arn:aws:iam::123456789012:role/models",
      RoleSessionName: "naru",
      WebIdentityToken: "a.service.account.token",
    });

    await rm(join(directory, "blobs"), { recursive: true });
    await bring("s3://models/digits/model.onnx", {
      AWS_CONTAINER_CREDENTIALS_FULL_URI: `${base}/pod`,
      AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: tokenFile,
    });
    expect(await brought()).toBe(true);
    expect(asked[1]).toMatchObject({ url: "/pod", authorization: "a.service.account.token" });
    identity.close();
  });
});
