import { messageOf, NaruError } from "../errors.ts";

/** Every way in which bringing a model can fail. The codes are stable; `Ready=False` shows them as its reason. */

/** A URI as logs and status may show it: no user, password, query or fragment, where credentials hide. */
export function shownUri(uri: string | URL): string {
  return String(uri)
    .replace(/[?#].*$/s, "")
    .replace(/^([a-z][a-z0-9+.-]*:\/\/)[^/]*@/i, "$1");
}

export function digestMismatch(uri: string | URL, wanted: string, found: string): NaruError {
  return new NaruError({
    code: "DigestMismatch",
    message: `${shownUri(uri)} has sha256 ${found}, not ${wanted}`,
    remedy: "Set sha256 to the digest of the file that you mean (sha256sum FILE), or put that file back.",
  });
}

export function invalidUri(uri: string | URL, wrong: string): NaruError {
  return new NaruError({
    code: "InvalidUri",
    message: `${shownUri(uri)}: ${wrong}`,
    remedy: "Use https://HOST/PATH, s3://BUCKET/KEY or file:///PATH.",
  });
}

export function invalidPath(path: string): NaruError {
  return new NaruError({
    code: "InvalidPath",
    message: `${path} is not a path below the models directory`,
    remedy: "Give each file a relative path without `..`, not below `blobs` or `partial`.",
  });
}

export function plainHttpRefused(uri: string | URL): NaruError {
  return new NaruError({
    code: "PlainHttpRefused",
    message: `${shownUri(uri)} is not encrypted`,
    remedy: "Use https, or set NARU_ALLOW_PLAIN_HTTP=1 where the network itself is trusted.",
  });
}

export function addressRefused(host: string): NaruError {
  return new NaruError({
    code: "AddressRefused",
    message: `${host} is, or leads to, a link-local or metadata address`,
    remedy:
      "Models come from a store, never from such an address: check the URI, its redirects and its DNS name.",
  });
}

export function sourceUnavailable(uri: string | URL, why: string, cause?: unknown): NaruError {
  return new NaruError({
    code: "SourceUnavailable",
    message: `${shownUri(uri)}: ${why}`,
    remedy: "Check that the source runs and can be reached from the pod (DNS, network policy, proxy).",
    cause,
  });
}

export function sourceUntrusted(uri: string | URL, cause: unknown): NaruError {
  return new NaruError({
    code: "SourceUntrusted",
    message: `${shownUri(uri)}: ${messageOf(cause)}`,
    remedy: "Set NODE_EXTRA_CA_CERTS or NARU_CA_FILE to the certificate authority of the source or proxy.",
    cause,
  });
}

export function sourceForbidden(uri: string | URL, status: number, reason: string): NaruError {
  return new NaruError({
    code: "SourceForbidden",
    message: `${shownUri(uri)} answered ${status}${reason && ` (${reason})`}`,
    remedy: "Check the credentials: the Secret, the role of the service account, and what they may read.",
  });
}

export function sourceNotFound(uri: string | URL, reason = ""): NaruError {
  return new NaruError({
    code: "SourceNotFound",
    message: `${shownUri(uri)} does not exist${reason && ` (${reason})`}`,
    remedy: "Check the URI: host or bucket, path, upper and lower case.",
  });
}

export function sourceRefused(uri: string | URL, status: number, reason: string): NaruError {
  return new NaruError({
    code: "SourceRefused",
    message: `${shownUri(uri)} answered ${status}${reason && ` (${reason})`}`,
    remedy: "Check the URI, and for S3 the region, the endpoint and pathStyle.",
  });
}

export function credentialsUnavailable(why: string, cause?: unknown): NaruError {
  return new NaruError({
    code: "CredentialsUnavailable",
    message: why,
    remedy:
      "Check the Secret or the service account's role annotation, and that the pod may reach the token service.",
    cause,
  });
}

export function diskFull(neededBytes: number | undefined, freeBytes: number | undefined): NaruError {
  const numbers =
    neededBytes === undefined || freeBytes === undefined
      ? ""
      : `: ${neededBytes} bytes needed, ${freeBytes} free`;
  return new NaruError({
    code: "DiskFull",
    message: `no room for the model${numbers}`,
    remedy: "Give the model cache a larger volume or sizeLimit.",
  });
}

export function cacheTooSmall(neededBytes: number, maxCacheBytes: number): NaruError {
  return new NaruError({
    code: "CacheTooSmall",
    message: `the model needs ${neededBytes} bytes and the cache may hold ${maxCacheBytes}`,
    remedy: "Raise the model cache's size above that of all files of the model.",
  });
}

export function signatureInvalid(uri: string, digest: string): NaruError {
  return new NaruError({
    code: "SignatureInvalid",
    message: `${shownUri(uri)} is no signature of the model digest ${digest} by the given key`,
    remedy: "Sign the model's digest with the key that belongs to publicKeySecret, or name the right Secret.",
  });
}

export function signatureKeyInvalid(cause?: unknown): NaruError {
  return new NaruError({
    code: "SignatureKeyInvalid",
    message: "the public key that the model's signature is verified with is not an Ed25519 key",
    remedy: "Put the key under publicKey of the Secret, as PEM or as base64 of its 32 bytes.",
    cause,
  });
}

/** Whether trying again may help. */
export function isTransient(thrown: unknown): boolean {
  return thrown instanceof NaruError && thrown.code === "SourceUnavailable";
}
