import fc from "fast-check";
import { expect, test } from "vitest";
import { routeOf } from "../../../runtimes/inference/rest/route.ts";

test.each([
  ["/v2", { kind: "serverMetadata" }],
  ["/v2/", { kind: "serverMetadata" }],
  ["/v2/health/live?x=1", { kind: "live" }],
  ["/v2/models/stats", { kind: "allStatistics" }],
  ["/v2/models/m", { kind: "modelMetadata", model: "m", version: undefined }],
  ["/v2/models/a%2Fb/versions/1/infer", { kind: "infer", model: "a/b", version: "1" }],
  ["/v2/models/versions/ready", { kind: "modelReady", model: "versions", version: undefined }],
  ["/v2/repository/models/m/load", { kind: "load", model: "m" }],
])("%s", (url, route) => {
  expect(routeOf(url)).toEqual(route);
});

test.each([
  "",
  "/",
  "/v1/models/m",
  "/v2/models",
  "/v2/models//infer",
  "/v2/models/m/versions",
  "/v2/models/m/infer/more",
  "/v2/models/%E0%A4%A/infer",
  "/v2/repository/models/m",
  "/v2/repository/models/m/delete",
])("%s is no route", (url) => {
  expect(routeOf(url)).toBeUndefined();
});

test("any model name and version find their way through a URL", () => {
  const name = fc
    .string({ unit: "grapheme", minLength: 1 })
    .filter((text) => text.isWellFormed() && !/^\.{1,2}$/.test(text));
  fc.assert(
    fc.property(name, name, (model, version) => {
      fc.pre(encodeURIComponent(model) !== "stats");
      const url = `/v2/models/${encodeURIComponent(model)}/versions/${encodeURIComponent(version)}/infer`;
      expect(routeOf(url)).toEqual({ kind: "infer", model, version });
    }),
  );
});
