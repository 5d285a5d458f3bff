import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { homedir, tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { AwsClient } from "aws4fetch";

export const S3_KEYS = { AWS_ACCESS_KEY_ID: "naru-test", AWS_SECRET_ACCESS_KEY: "naru-test-secret" };
export const S3_REGION = "eu-test-1";

/** Where test/support/install-s3.sh put the server, or anywhere on PATH; undefined where it is not installed. */
export function findS3Server(): string | undefined {
  const folders = [
    ...(process.env.PATH ?? "").split(delimiter),
    join(process.env.GOPATH ?? join(homedir(), "go"), "bin"),
  ];
  return folders.map((folder) => join(folder, "versitygw")).find((path) => existsSync(path));
}

/** A real S3-compatible server over a folder of its own. */
export class S3Server {
  readonly endpoint: string;
  readonly #process: ChildProcess;
  readonly #folder: string;

  private constructor(endpoint: string, process: ChildProcess, folder: string) {
    this.endpoint = endpoint;
    this.#process = process;
    this.#folder = folder;
  }

  static async start(program: string): Promise<S3Server> {
    const folder = await mkdtemp(join(tmpdir(), "naru-s3-"));
    await mkdir(join(folder, "root"));
    await mkdir(join(folder, "sidecar"));
    const port = await freePort();
    const child = spawn(
      program,
      ["--port", `127.0.0.1:${port}`, "--region", S3_REGION, "--health", "/health", "--quiet", "posix"]
        // A file system without extended attributes (tmpfs) will do.
        .concat("--sidecar", join(folder, "sidecar"), join(folder, "root")),
      {
        stdio: "ignore",
        env: {
          ...process.env,
          ROOT_ACCESS_KEY: S3_KEYS.AWS_ACCESS_KEY_ID,
          ROOT_SECRET_KEY: S3_KEYS.AWS_SECRET_ACCESS_KEY,
        },
      },
    );
    const server = new S3Server(`http://127.0.0.1:${port}`, child, folder);
    for (;;) {
      if (child.exitCode !== null) throw new Error(`${program} ended with ${child.exitCode}`);
      try {
        if ((await fetch(`${server.endpoint}/health`)).ok) return server;
      } catch {
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }
  }

  /** Creates a bucket, or an object in it. */
  async put(bucket: string, key?: string, body?: Uint8Array<ArrayBuffer>): Promise<void> {
    const client = new AwsClient({
      accessKeyId: S3_KEYS.AWS_ACCESS_KEY_ID,
      secretAccessKey: S3_KEYS.AWS_SECRET_ACCESS_KEY,
      service: "s3",
      region: S3_REGION,
      retries: 0,
    });
    const path = key === undefined ? "" : `/${key.split("/").map(encodeURIComponent).join("/")}`;
    const answer = await client.fetch(`${this.endpoint}/${bucket}${path}`, {
      method: "PUT",
      ...(body && { body }),
    });
    if (!answer.ok) throw new Error(`PUT ${bucket}${path} answered ${answer.status}: ${await answer.text()}`);
  }

  async stop(): Promise<void> {
    const ended = once(this.#process, "exit");
    if (this.#process.exitCode === null) {
      this.#process.kill("SIGKILL");
      await ended;
    }
    await rm(this.#folder, { recursive: true, force: true });
  }
}

async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}
