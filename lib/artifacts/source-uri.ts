import { fileURLToPath } from "node:url";
import { invalidUri } from "./failures.ts";

export type Source =
  | { kind: "http"; url: URL }
  | { kind: "s3"; bucket: string; key: string }
  | { kind: "file"; path: string };

/**
 * Where a URI points. An S3 key is taken as it is written, as the AWS CLI takes it: nothing in it is
 * percent-decoded.
 *
 * @throws NaruError InvalidUri
 */
export function parseSource(uri: string): Source {
  if (uri.startsWith("s3://")) {
    const match = /^s3:\/\/([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])\/(.+)$/s.exec(uri);
    if (match?.[1] === undefined || match[2] === undefined) throw invalidUri(uri, "not s3://BUCKET/KEY");
    // A URL parser would take such segments for steps up the path, and ask for another key.
    if (match[2].split("/").some((segment) => segment === "." || segment === "..")) {
      throw invalidUri(uri, "a key with a segment . or .. can't be asked for over HTTP");
    }
    return { kind: "s3", bucket: match[1], key: match[2] };
  }
  if (!URL.canParse(uri)) throw invalidUri(uri, "not a URI");
  const url = new URL(uri);
  switch (url.protocol) {
    case "https:":
    case "http:":
      if (url.username !== "" || url.password !== "") {
        throw invalidUri(
          uri,
          "a user or password in a URI would be shown to everyone who reads the resource",
        );
      }
      url.hash = "";
      return { kind: "http", url };
    case "file:":
      if (!uri.startsWith("file:///")) throw invalidUri(uri, "not file:///PATH with an absolute path");
      try {
        return { kind: "file", path: fileURLToPath(url) };
      } catch {
        throw invalidUri(uri, "not a path of this machine");
      }
    default:
      throw invalidUri(uri, `scheme ${url.protocol} is not known`);
  }
}
