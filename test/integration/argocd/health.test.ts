import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { findArgoCd, NO_ARGOCD } from "../../support/argocd.ts";

const ARGOCD = join(import.meta.dirname, "../../../argocd");
const FOLDER = join(ARGOCD, "resource_customizations/naru.dev/ModelServing");

interface HealthTests {
  readonly tests: readonly {
    readonly healthStatus: { readonly status: string; readonly message: string };
    readonly inputPath: string;
  }[];
}

const { tests } = parse(await readFile(join(FOLDER, "health_test.yaml"), "utf8")) as HealthTests;

const argocd = findArgoCd();
if (argocd === undefined) console.log(`skipped: health by Argo CD's own Lua: ${NO_ARGOCD}`);

describe.skipIf(argocd === undefined)("the health that Argo CD itself finds, by its own Lua", () => {
  test.each(tests)("$inputPath", async ({ inputPath, healthStatus }) => {
    const settings = ["--argocd-cm-path", join(ARGOCD, "argocd-cm.yaml")];
    const { stdout } = await promisify(execFile)(
      argocd?.program ?? "",
      ["admin", "settings", "resource-overrides", "health", join(FOLDER, inputPath), ...settings],
      { env: { ...process.env, ARGOCD_BINARY_NAME: "argocd" } },
    );
    expect(stdout).toBe(`STATUS: ${healthStatus.status}\nMESSAGE: ${healthStatus.message}\n`);
  });
});
