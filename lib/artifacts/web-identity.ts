import { credentialsUnavailable } from "./failures.ts";
import { expiry, type S3Credentials } from "./s3-keys.ts";
import type { Transport } from "./transport.ts";

export interface WebIdentity {
  token: string;
  roleArn: string;
  sessionName: string;
  /** Default: the regional endpoint of AWS. */
  endpoint: string | undefined;
  region: string;
}

/**
 * Trades a service account's token for credentials, by STS AssumeRoleWithWebIdentity (API version 2011-06-15), which needs
 * no signature: the token is the proof.
 *
 * @throws NaruError CredentialsUnavailable, SourceUnavailable
 */
export async function assumeRoleWithWebIdentity(
  transport: Transport,
  identity: WebIdentity,
): Promise<S3Credentials> {
  const domain = identity.region.startsWith("cn-") ? "amazonaws.com.cn" : "amazonaws.com";
  const url = new URL(identity.endpoint ?? `https://sts.${identity.region}.${domain}/`);
  const answer = await transport.post(
    url,
    new URLSearchParams({
      Action: "AssumeRoleWithWebIdentity",
      Version: "2011-06-15",
      RoleArn: identity.roleArn,
      RoleSessionName: identity.sessionName,
      WebIdentityToken: identity.token,
    }),
  );
  const xml = await answer.text();
  const element = (name: string) => new RegExp(`<${name}>([^<]*)</${name}>`).exec(xml)?.[1];
  if (answer.status !== 200) {
    throw credentialsUnavailable(
      `the token service answered ${answer.status} (${element("Code") ?? "no reason"}) for role ${identity.roleArn}`,
    );
  }
  const accessKeyId = element("AccessKeyId");
  const secretAccessKey = element("SecretAccessKey");
  const expiresAt = expiry.safeParse(element("Expiration"));
  if (accessKeyId === undefined || secretAccessKey === undefined || !expiresAt.success) {
    throw credentialsUnavailable("the token service's answer holds no credentials");
  }
  return { accessKeyId, secretAccessKey, sessionToken: element("SessionToken"), expiresAt: expiresAt.data };
}
