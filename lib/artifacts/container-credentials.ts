import { request } from "undici";
import { z } from "zod";
import { messageOf } from "../errors.ts";
import { credentialsUnavailable } from "./failures.ts";
import { readText } from "./read-text.ts";
import { expiry, type S3Credentials } from "./s3-keys.ts";
import { directAgent } from "./transport.ts";

const answer = z.object({
  AccessKeyId: z.string(),
  SecretAccessKey: z.string(),
  Token: z.string().optional(),
  Expiration: expiry.optional(),
});

const ANSWER_MS = 5000;

/** Over plain HTTP the AWS SDKs ask no other hosts than these: ECS, EKS Pod Identity, and loopback. */
const PLAIN_HOSTS: ReadonlySet<string> = new Set([
  "169.254.170.2",
  "169.254.170.23",
  "[fd00:ec2::23]",
  "localhost",
  "[::1]",
]);

/**
 * Credentials of the pod's identity, from the agent on its node (AWS SDKs: "container credential provider").
 *
 * @throws NaruError CredentialsUnavailable
 */
export async function fetchContainerCredentials(
  uri: string,
  authorization: string | undefined,
): Promise<S3Credentials> {
  const url = URL.canParse(uri) ? new URL(uri) : undefined;
  const allowed =
    url !== undefined &&
    (url.protocol === "https:" ||
      (url.protocol === "http:" && (PLAIN_HOSTS.has(url.hostname) || url.hostname.startsWith("127."))));
  if (!allowed) {
    throw credentialsUnavailable(
      "AWS_CONTAINER_CREDENTIALS_FULL_URI is neither https nor a known local agent",
    );
  }
  const dispatcher = directAgent();
  try {
    const { statusCode, body } = await request(url, {
      dispatcher,
      headers: authorization === undefined ? {} : { authorization },
    });
    const text = await readText(body, ANSWER_MS);
    if (statusCode !== 200) throw new Error(`answered ${statusCode}`);
    const parsed = answer.safeParse(JSON.parse(text));
    if (!parsed.success) throw new Error("the answer holds no credentials");
    return {
      accessKeyId: parsed.data.AccessKeyId,
      secretAccessKey: parsed.data.SecretAccessKey,
      sessionToken: parsed.data.Token,
      expiresAt: parsed.data.Expiration,
    };
  } catch (thrown) {
    // A parser's own message would quote the answer, which may hold a secret.
    const why = thrown instanceof SyntaxError ? "the answer is not JSON" : messageOf(thrown);
    throw credentialsUnavailable(`pod identity agent at ${url.host}: ${why}`);
  } finally {
    await dispatcher.destroy();
  }
}
