import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parse, parseAllDocuments, stringify } from "yaml";
import type { KubeObject } from "../../operator/engine/objects.ts";
import { findProgram } from "../../scripts/helm.ts";

const ROOT = join(import.meta.dirname, "../..");

const kubectl = findProgram("kubectl");
if (kubectl === undefined)
  console.log("skipped: the overlay that docs/install.md shows: there is no kubectl");

interface Overlay {
  resources: string[];
  namespace?: string;
}

describe.skipIf(kubectl === undefined)("the overlay that docs/install.md shows", () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "naru-overlay-"));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test("names both images, and leaves none that no registry has", async () => {
    const objects = await built(shown());
    const operator = JSON.stringify(objects.find(({ kind }) => kind === "Deployment")?.spec);
    expect(operator).toContain('"image":"registry.example/naru/operator:0.1.0"');
    expect(operator).toContain('"--runtime-image=registry.example/naru/runtime:0.1.0"');
    expect(JSON.stringify(objects)).not.toContain("localhost/");
  });

  test("may put everything into another namespace", async () => {
    const objects = await built({ ...shown(), namespace: "models" });
    expect(JSON.stringify(objects)).not.toContain("naru-system");
    const namespaces = objects.flatMap(({ metadata }) => metadata.namespace ?? []);
    expect([...new Set(namespaces)]).toEqual(["models"]);
    const subjects = objects.flatMap((object) => (object as { subjects?: object[] }).subjects ?? []);
    expect(subjects).not.toHaveLength(0);
    for (const subject of subjects) expect(subject).toMatchObject({ namespace: "models" });
  });

  function shown(): Overlay {
    const page = readFileSync(join(ROOT, "docs/install.md"), "utf8");
    const block = /```yaml\n(apiVersion: kustomize[\s\S]*?)```/.exec(page)?.[1];
    if (block === undefined) throw new Error("docs/install.md shows no overlay");
    return parse(block) as Overlay;
  }

  async function built(overlay: Overlay): Promise<KubeObject[]> {
    // Kustomize takes no absolute path.
    const resources = [relative(folder, join(ROOT, "deploy"))];
    writeFileSync(join(folder, "kustomization.yaml"), stringify({ ...overlay, resources }));
    const { stdout } = await promisify(execFile)(kubectl ?? "", ["kustomize", folder], {
      maxBuffer: 16 * 1024 * 1024,
    });
    return parseAllDocuments(stdout).map((document) => document.toJS() as KubeObject);
  }
});
