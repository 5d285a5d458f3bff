import { readdirSync } from "node:fs";
import { basename, join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { stringify } from "yaml";
import { deployed } from "../model-serving/fixtures.ts";
import { healthOf, healthScript } from "./lua-health.ts";
import { situations } from "./situations.ts";

/**
 * Argo CD's health of a ModelServing, in Argo CD's own layout. The files of testdata and health_test.yaml follow from
 * the operator's decisions: `npx vitest run test/unit/argocd -u` writes them anew.
 */
const FOLDER = join(import.meta.dirname, "../../../argocd/resource_customizations/naru.dev/ModelServing");

interface Conditions {
  conditions: { type: string; observedGeneration: number }[];
}

describe("the health of a ModelServing in Argo CD", () => {
  const seen: { name: string; status: string; message: string }[] = [];
  let script: string;
  beforeAll(async () => {
    script = await healthScript();
  });

  test.each(situations)("$name", async ({ name, status, make }) => {
    const { resource } = await make();
    await expect(stringify(resource, { lineWidth: 0 })).toMatchFileSnapshot(
      join(FOLDER, "testdata", `${name}.yaml`),
    );
    const health = await healthOf(resource, script);
    expect(health.message).not.toBe("");
    expect(health).toMatchObject({ status });
    seen.push({ name, ...health });
  });

  test("is what Argo CD's own test is told to expect", async () => {
    const tests = seen.map(({ name, status, message }) => ({
      healthStatus: { status, message },
      inputPath: `testdata/${name}.yaml`,
    }));
    expect(tests).toHaveLength(situations.length);
    await expect(stringify({ tests }, { lineWidth: 0 })).toMatchFileSnapshot(
      join(FOLDER, "health_test.yaml"),
    );
    const files = readdirSync(join(FOLDER, "testdata")).map((file) => basename(file, ".yaml"));
    expect(files.sort()).toEqual(situations.map(({ name }) => name).sort());
  });

  test("does not take a condition of an earlier generation for one of this", async () => {
    const { resource: serving } = await deployed();
    expect(await healthOf(serving, script)).toMatchObject({ status: "Healthy" });
    for (const type of ["Ready", "Progressing", "Degraded", "RolloutComplete"]) {
      const stale = structuredClone(serving);
      const condition = (stale.status as Conditions).conditions.find((one) => one.type === type);
      if (condition === undefined) throw new Error(`no ${type}`);
      condition.observedGeneration -= 1;
      expect(await healthOf(stale, script), type).toMatchObject({ status: "Progressing" });
    }
  });

  test("asks for nothing that Argo CD leaves out of a script's world", async () => {
    const object = { metadata: { generation: 1 } };
    await expect(healthOf(object, 'return { message = string.upper("a") }')).rejects.toThrow(/string/);
    await expect(healthOf(object, "return { message = math.pi }")).rejects.toThrow(/math/);
    await expect(healthOf(object, 'return { message = os.getenv("A") }')).rejects.toThrow(/os/);
  });
});
