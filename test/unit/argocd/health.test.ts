import { readdirSync } from "node:fs";
import { basename, join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { stringify } from "yaml";
import type { ModelServingStatus } from "../../../crds/model-serving.ts";
import { deployed } from "../model-serving/fixtures.ts";
import type { World } from "../model-serving/world.ts";
import { healthOf, healthScript } from "./lua-health.ts";
import { situations } from "./situations.ts";

/**
 * Argo CD's health of a ModelServing, in Argo CD's own layout. The files of testdata and health_test.yaml follow from
 * the operator's decisions: `npx vitest run test/unit/argocd -u` writes them anew.
 */
const FOLDER = join(import.meta.dirname, "../../../argocd/resource_customizations/naru.dev/ModelServing");

/**
 * What a health check may go by, with revisions named in order: files of the whole object would change with every field
 * that pods are made of.
 */
function asArgoReads({ resource }: World): object {
  const { apiVersion, kind, metadata } = resource;
  const {
    observedGeneration,
    conditions,
    canary,
    revision,
    failedRevisions = [],
  } = (resource.status ?? {}) as ModelServingStatus;
  const status = {
    observedGeneration,
    conditions,
    canary: canary && { revision: canary.revision, phase: canary.phase },
  };
  const object = JSON.stringify({ apiVersion, kind, metadata, ...(resource.status ? { status } : {}) });
  const revisions = [
    revision,
    canary?.revision,
    ...failedRevisions,
    ...(object.match(/(?<=revision )\w{10}/g) ?? []),
  ];
  const named = [...new Set(revisions.filter((one) => one !== undefined))];
  return JSON.parse(
    named.reduce((text, one, index) => text.replaceAll(one, ["first", "second"][index] ?? "third"), object),
  );
}

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
    const resource = asArgoReads(await make());
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
    // Files that a test run writes are there when it is over.
    const files = readdirSync(join(FOLDER, "testdata")).map((file) => basename(file, ".yaml"));
    expect(situations.map(({ name }) => name)).toEqual(expect.arrayContaining(files));
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
