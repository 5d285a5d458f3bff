import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { describe, expect, test } from "vitest";
import { closureOf } from "../../../scripts/image/closure.ts";
import { partsOf } from "../../../scripts/image/imports.ts";
import { isNeedless } from "../../../scripts/image/needless.ts";

function built(files: Record<string, string>): string {
  const folder = mkdtempSync(join(tmpdir(), "naru-image-"));
  for (const [file, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, file)), { recursive: true });
    writeFileSync(join(folder, file), text);
  }
  return folder;
}

test("a program's parts are what it imports, now or later, and the threads that it starts", () => {
  const folder = built({
    "a/main.js": [
      '#!/usr/bin/env node\nimport { x } from "../lib/x.js";',
      'import {\n  y,\n} from "@scope/name/deep.js";',
      'import "node:fs";\nconst later = () => import("./later.js");',
      'const url = new URL(here ? "./thread.ts" : "./thread.js", import.meta.url);',
    ].join("\n"),
    "a/later.js": 'export { z } from "plain";',
    "a/thread.js": 'import "../a/main.js";',
    "lib/x.js": "export const x = 1;",
    "lib/nobody.js": 'import "unused";',
  });
  expect(partsOf(folder, "a/main.js")).toEqual({
    files: ["a/later.js", "a/main.js", "a/thread.js", "lib/x.js"],
    packages: ["@scope/name", "plain"],
  });
});

describe("the packages that a program needs", () => {
  const lock = {
    packages: {
      "node_modules/a": {
        dependencies: { b: "1", "@types/node": "1" },
        optionalDependencies: { linux: "1", mac: "1" },
      },
      "node_modules/a/node_modules/b": { dependencies: { c: "1" } },
      "node_modules/b": {},
      "node_modules/c": {
        dependencies: { a: "1" },
        peerDependencies: { gone: "1" },
        peerDependenciesMeta: { gone: { optional: true } },
      },
      "node_modules/linux": {},
      "node_modules/mac": {},
      "node_modules/@types/node": {},
      "node_modules/other": { dependencies: { absent: "1" } },
    },
  };

  test("are found beside who asks before they are found above, and for this platform alone", () => {
    expect(closureOf(lock, ["a"], (folder) => !folder.endsWith("mac"))).toEqual([
      "node_modules/a",
      "node_modules/a/node_modules/b",
      "node_modules/c",
      "node_modules/linux",
    ]);
  });

  test("must be in the lock", () => {
    expect(() => closureOf(lock, ["other"], () => true)).toThrow("absent, which node_modules/other needs");
  });
});

test.each([
  ["node_modules/pino/pino.d.ts", true],
  ["node_modules/pino/pino.js", false],
  ["node_modules/pino/LICENSE", false],
  ["node_modules/zod/v4/core.js.map", true],
  ["node_modules/ret/test/all.js", true],
  ["node_modules/latest/index.js", false],
  ["node_modules/onnxruntime-node/bin/napi-v6/linux/x64/libonnxruntime.so.1", false],
  ["node_modules/onnxruntime-node/bin/napi-v6/linux/arm64/libonnxruntime.so.1", true],
  ["node_modules/onnxruntime-node/bin/napi-v6/darwin/x64/libonnxruntime.dylib", true],
])("%s is needless: %s", (file, needless) => {
  expect(isNeedless(file, { os: "linux", cpu: "x64" })).toBe(needless);
});
