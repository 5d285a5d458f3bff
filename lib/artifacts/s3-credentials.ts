import { readFile } from "node:fs/promises";
import { messageOf } from "../errors.ts";
import { fetchContainerCredentials } from "./container-credentials.ts";
import { credentialsUnavailable } from "./failures.ts";
import type { S3Credentials } from "./s3-keys.ts";
import type { Transport } from "./transport.ts";
import { assumeRoleWithWebIdentity } from "./web-identity.ts";

/** Fresh ones are asked for so long before the old ones end, which is longer than any request takes to begin. */
const RENEW_BEFORE_MS = 5 * 60_000;

/**
 * Credentials for S3 by what the environment holds, in the AWS SDKs' order: keys (from a Secret), web identity (the pod's
 * service account on EKS, or any OIDC), pod identity (EKS, ECS). Undefined where there are none: buckets may be
 * public.
 */
export class S3CredentialSource {
  readonly #env: NodeJS.ProcessEnv;
  readonly #transport: Transport;
  readonly #region: string;
  readonly #now: () => number;
  #current: S3Credentials | undefined;

  constructor(env: NodeJS.ProcessEnv, transport: Transport, region: string, now: () => number = Date.now) {
    this.#env = env;
    this.#transport = transport;
    this.#region = region;
    this.#now = now;
  }

  /** @throws NaruError CredentialsUnavailable, SourceUnavailable */
  async get(): Promise<S3Credentials | undefined> {
    const current = this.#current;
    const ends = current?.expiresAt ?? Number.POSITIVE_INFINITY;
    if (current !== undefined && this.#now() < ends - RENEW_BEFORE_MS) return current;
    this.#current = await this.#fetch();
    return this.#current;
  }

  /** The store called them expired: clocks differ. */
  forget(): void {
    this.#current = undefined;
  }

  async #fetch(): Promise<S3Credentials | undefined> {
    const env = this.#env;
    if (env.AWS_ACCESS_KEY_ID !== undefined && env.AWS_SECRET_ACCESS_KEY !== undefined) {
      return {
        accessKeyId: env.AWS_ACCESS_KEY_ID,
        secretAccessKey: env.AWS_SECRET_ACCESS_KEY,
        sessionToken: env.AWS_SESSION_TOKEN,
        expiresAt: undefined,
      };
    }
    if (env.AWS_WEB_IDENTITY_TOKEN_FILE !== undefined && env.AWS_ROLE_ARN !== undefined) {
      return assumeRoleWithWebIdentity(this.#transport, {
        // Kubernetes renews the file: read it each time.
        token: await readSecretFile(env.AWS_WEB_IDENTITY_TOKEN_FILE),
        roleArn: env.AWS_ROLE_ARN,
        sessionName: env.AWS_ROLE_SESSION_NAME ?? "naru",
        endpoint: env.AWS_ENDPOINT_URL_STS,
        region: this.#region,
      });
    }
    const full = env.AWS_CONTAINER_CREDENTIALS_FULL_URI;
    const relative = env.AWS_CONTAINER_CREDENTIALS_RELATIVE_URI;
    if (full !== undefined || relative !== undefined) {
      const tokenFile = env.AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE;
      return fetchContainerCredentials(
        full ?? `http://169.254.170.2${relative}`,
        tokenFile === undefined ? env.AWS_CONTAINER_AUTHORIZATION_TOKEN : await readSecretFile(tokenFile),
      );
    }
    return undefined;
  }
}

/** @throws NaruError CredentialsUnavailable, naming the file and nothing of what is in it. */
export async function readSecretFile(path: string): Promise<string> {
  try {
    return (await readFile(path, "utf8")).trim();
  } catch (thrown) {
    throw credentialsUnavailable(`credentials file ${path}: ${messageOf(thrown)}`, thrown);
  }
}
