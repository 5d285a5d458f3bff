import type { FetchConfig } from "../config/fetch.ts";
import { invalidUri } from "./failures.ts";

export interface S3Location {
  url: URL;
  region: string;
  /** The endpoint was named as http:// by the resource or the administrator. */
  plainHttp: boolean;
}

/** Region by configuration, else by the environment as the AWS SDKs read it. */
export function s3Region(config: FetchConfig["s3"], env: NodeJS.ProcessEnv): string {
  return config.region ?? env.AWS_REGION ?? env.AWS_DEFAULT_REGION ?? "us-east-1";
}

/**
 * The URL of an object. With an endpoint of one's own (MinIO, Ceph) the bucket is in the path unless `pathStyle` is false;
 * at AWS it is in the host, save where its dots would not fit the certificate.
 *
 * @throws NaruError InvalidUri
 */
export function s3Location(
  { bucket, key }: { bucket: string; key: string },
  config: FetchConfig["s3"],
  env: NodeJS.ProcessEnv,
): S3Location {
  const region = s3Region(config, env);
  const endpoint = config.endpoint ?? env.AWS_ENDPOINT_URL_S3 ?? env.AWS_ENDPOINT_URL;
  const domain = region.startsWith("cn-") ? "amazonaws.com.cn" : "amazonaws.com";
  const base = endpoint ?? `https://s3.${region}.${domain}`;
  if (!/^https?:\/\//.test(base) || !URL.canParse(base)) {
    throw invalidUri(base, "an S3 endpoint is http(s)://HOST[:PORT]");
  }
  const url = new URL(base);
  const path = key.split("/").map(encodeSegment).join("/");
  const prefix = url.pathname.replace(/\/$/, "");
  const inPath = config.pathStyle ?? (endpoint !== undefined || bucket.includes("."));
  if (inPath) {
    url.pathname = `${prefix}/${bucket}/${path}`;
  } else {
    url.hostname = `${bucket}.${url.hostname}`;
    url.pathname = `${prefix}/${path}`;
  }
  return { url, region, plainHttp: url.protocol === "http:" };
}

/** RFC 3986's unreserved characters stay, as Signature Version 4 wants it. */
function encodeSegment(segment: string): string {
  return encodeURIComponent(segment.toWellFormed()).replace(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}
