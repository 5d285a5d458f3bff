import fc from "fast-check";
import { expect, test } from "vitest";
import { shownUri } from "../../../lib/artifacts/failures.ts";
import { s3Location } from "../../../lib/artifacts/s3-location.ts";
import { parseSource } from "../../../lib/artifacts/source-uri.ts";
import { NaruError } from "../../../lib/errors.ts";

test("https, s3 and file URIs are told apart", () => {
  expect(parseSource("https://models.example/d/model.onnx?v=2#x")).toEqual({
    kind: "http",
    url: new URL("https://models.example/d/model.onnx?v=2"),
  });
  expect(parseSource("s3://models/digits/2/model 1+1=%20.onnx")).toEqual({
    kind: "s3",
    bucket: "models",
    key: "digits/2/model 1+1=%20.onnx",
  });
  expect(parseSource("file:///srv/a%20b.onnx")).toEqual({ kind: "file", path: "/srv/a b.onnx" });
});

test("what can't be brought is refused with the reason", () => {
  for (const [uri, reason] of [
    ["model.onnx", "not a URI"],
    ["ftp://host/model", "scheme ftp:"],
    ["s3://models", "BUCKET/KEY"],
    ["s3://models/", "BUCKET/KEY"],
    ["s3://Models/key", "BUCKET/KEY"],
    ["s3:///key", "BUCKET/KEY"],
    ["s3://models/a/../b", "segment"],
    ["file:model.onnx", "absolute"],
    ["file://host/model.onnx", "absolute"],
    ["https://user:secret@host/model", "password"],
  ] as const) {
    expect(() => parseSource(uri), uri).toThrow(reason);
  }
});

test("whatever it is given, it parses or refuses with a code, and shows no password or query", () => {
  const uri = fc.oneof(
    fc.string(),
    fc.webUrl({ withQueryParameters: true, withFragments: true }),
    fc
      .tuple(fc.constantFrom("s3://", "https://", "file:///", "file:"), fc.string())
      .map((parts) => parts.join("")),
  );
  fc.assert(
    fc.property(uri, (text) => {
      try {
        parseSource(text);
      } catch (thrown) {
        expect(thrown).toBeInstanceOf(NaruError);
        expect(thrown).toMatchObject({ code: "InvalidUri" });
      }
    }),
    { numRuns: 500 },
  );
  expect(shownUri("https://user:pa@ss@host/a?X-Amz-Signature=1#f")).toBe("https://host/a");
  expect(shownUri("s3://models/a@b")).toBe("s3://models/a@b");
});

test("an object's URL follows region, endpoint and path style", () => {
  const source = { bucket: "models", key: "a b/ü+(1).onnx" };
  const path = "a%20b/%C3%BC%2B%281%29.onnx";
  const href = (config: object, env = {}, bucket = "models") =>
    s3Location({ ...source, bucket }, config, env).url.href;
  expect(href({})).toBe(`https://models.s3.us-east-1.amazonaws.com/${path}`);
  expect(href({ region: "cn-north-1" })).toBe(`https://models.s3.cn-north-1.amazonaws.com.cn/${path}`);
  expect(href({}, { AWS_REGION: "eu-west-1" })).toBe(`https://models.s3.eu-west-1.amazonaws.com/${path}`);
  expect(href({ pathStyle: true })).toBe(`https://s3.us-east-1.amazonaws.com/models/${path}`);
  expect(href({}, {}, "my.models")).toBe(`https://s3.us-east-1.amazonaws.com/my.models/${path}`);
  expect(href({ endpoint: "http://minio:9000/" })).toBe(`http://minio:9000/models/${path}`);
  expect(href({ endpoint: "https://store/base", pathStyle: false })).toBe(
    `https://models.store/base/${path}`,
  );
  expect(href({}, { AWS_ENDPOINT_URL: "https://store" })).toBe(`https://store/models/${path}`);
  expect(() => href({ endpoint: "minio:9000" })).toThrow("endpoint");
});

test("a key's URL names that key and no other", () => {
  const key = fc
    .string({ unit: "grapheme", minLength: 1 })
    .filter((text) => !text.split("/").some((segment) => segment === "." || segment === ".."));
  fc.assert(
    fc.property(key, (text) => {
      const { url } = s3Location({ bucket: "models", key: text }, { endpoint: "http://store" }, {});
      expect(decodeURIComponent(url.pathname)).toBe(`/models/${text}`);
      expect(url.search + url.hash).toBe("");
    }),
  );
});
