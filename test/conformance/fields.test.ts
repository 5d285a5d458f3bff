import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { z } from "zod";
import { customResourceDefinition } from "../../crds/manifest.ts";
import { modelServingDefinition } from "../../crds/model-serving/definition.ts";
import { podSettings } from "../../crds/model-serving/pod.ts";
import { status as statusSchema } from "../../crds/model-serving/status.ts";
import { modelServing, modelServingSpec } from "../../crds/model-serving.ts";
import type { StructuralSchema } from "../../crds/structural.ts";
import { type ApiServer, missingAssets, startApiServer } from "../support/api-server.ts";
import { eventually } from "../support/eventually.ts";
import { kubectl } from "../support/kubectl.ts";
import { DIGEST, modelServingCases } from "../support/model-serving-cases.ts";
import { zodArbitrary } from "../support/zod-arbitrary.ts";
import { fieldPaths, pathsIn } from "./support/field-paths.ts";
import { installModelServing } from "./support/kube.ts";

const RESOURCES = "/apis/naru.dev/v1alpha1/namespaces/default/modelservings";
const API = { apiVersion: "naru.dev/v1alpha1", kind: "ModelServing" };
/** Of each field; one is sent only if it has a field that none before it had. */
const SAMPLES = 200;

const missing = await missingAssets();
if (missing !== undefined) console.log(`skipped: every field on a real API server: ${missing}`);

const root = customResourceDefinition(modelServingDefinition, modelServing).spec.versions[0]?.schema
  .openAPIV3Schema;
const schemaOf = (name: "spec" | "status"): StructuralSchema => {
  const schema = root?.properties?.[name];
  if (schema === undefined) throw new Error(`no ${name}`);
  return schema;
};

describe.skipIf(missing !== undefined)("every field of a ModelServing, on a real API server", () => {
  let server: ApiServer;
  beforeAll(async () => {
    server = await startApiServer();
    await installModelServing(server);
  });
  afterAll(async () => server?.stop());

  test("is stored as it was sent, with the defaults that zod gives: spec", async () => {
    const schema = schemaOf("spec");
    const left = new Set([...fieldPaths(schema)].map(({ path }) => path));
    expect(left.size).toBeGreaterThan(250);
    for (const spec of specs()) {
      const had = left.size;
      for (const path of pathsIn(schema, spec)) left.delete(path);
      if (left.size === had) continue;
      const resource = { ...API, metadata: { name: "a" }, spec };
      const answer = await server.request("POST", `${RESOURCES}?dryRun=All&fieldValidation=Strict`, resource);
      expect(answer.body.message ?? "", JSON.stringify(spec)).toBe("");
      expect(answer.body.spec).toEqual(modelServingSpec.parse(spec));
      if (left.size === 0) break;
    }
    expect([...left]).toEqual([]);
  });

  test("is stored as it was sent: status", async () => {
    const schema = schemaOf("status");
    const left = new Set([...fieldPaths(schema)].map(({ path }) => path));
    expect(left.size).toBeGreaterThan(50);
    const spec = { model: MODEL };
    const made = await server.request("POST", RESOURCES, { ...API, metadata: { name: "status" }, spec });
    for (const status of fc.sample(zodArbitrary(statusSchema, true), { numRuns: 500, seed: 1 })) {
      const had = left.size;
      for (const path of pathsIn(schema, status)) left.delete(path);
      if (left.size === had) continue;
      const path = `${RESOURCES}/status/status?dryRun=All&fieldValidation=Strict`;
      const answer = await server.request("PUT", path, { ...made.body, status });
      expect(answer.body.message ?? "", JSON.stringify(status)).toBe("");
      expect(answer.body.status).toEqual(status);
      expect(answer.body.spec).toEqual(made.body.spec);
    }
    expect([...left]).toEqual([]);
  });

  test("is explained: the server publishes each description, and kubectl finds every field", async () => {
    const published = await eventually("the published schema", async () => {
      const { status, body } = await server.request("GET", "/openapi/v3/apis/naru.dev/v1alpha1");
      const schemas = (body.components as { schemas?: Record<string, StructuralSchema> } | undefined)
        ?.schemas;
      return status === 200 && schemas?.["dev.naru.v1alpha1.ModelServing"];
    });
    const ours = (["spec", "status"] as const).flatMap((name) => described(schemaOf(name), `.${name}`));
    const theirs = (["spec", "status"] as const).flatMap((name) =>
      described(published.properties?.[name] ?? {}, `.${name}`),
    );
    expect(ours.length).toBeGreaterThan(300);
    expect(Object.fromEntries(theirs)).toEqual(Object.fromEntries(ours));

    const { stdout } = await kubectl(server, ["explain", "modelserving", "--recursive"]);
    const found = fieldsOf(stdout).filter((path) => /^\.(spec|status)\./.test(path));
    const wanted = ours.map(([path]) => path.replaceAll("[]", ""));
    // What is below a map's values kubectl does not go into.
    expect(new Set(found)).toEqual(new Set(wanted.filter((path) => !path.includes("{}"))));
  });

  test("is explained by kubectl in words, at every depth", async () => {
    const all = (["spec", "status"] as const)
      .flatMap((name) => described(schemaOf(name), `.${name}`))
      .filter(([path]) => !path.includes("{}"));
    const depth = (path: string) => path.split(".").length;
    const byDepth = Map.groupBy(all, ([path]) => depth(path));
    const sample = [...byDepth.values()].flatMap((fields) => [fields[0], fields.at(-1)]);
    expect(byDepth.size).toBeGreaterThan(5);
    await Promise.all(
      sample.map(async (field) => {
        const [path = "", description = ""] = field ?? [];
        const { stdout } = await kubectl(server, ["explain", `msv${path.replaceAll("[]", "")}`]);
        expect(inOneLine(stdout), path).toContain(inOneLine(description));
      }),
    );
  });
});

const MODEL = { uri: "s3://models/digits/2/model.onnx", sha256: DIGEST };

/** Specs with ever other fields: those that people thought of, then made ones, a field at a time beside a model. */
function* specs(): Generator<unknown> {
  for (const { spec, refused } of modelServingCases) if (refused === undefined) yield spec;
  const { pod, ...fields } = modelServingSpec.shape as Readonly<Record<string, z.ZodType>>;
  const affinity = podSettings.shape.affinity as z.ZodType;
  const made = function* (field: z.ZodType, around: (value: unknown) => object) {
    for (const value of fc.sample(zodArbitrary(field, true), { numRuns: SAMPLES, seed: 1 })) {
      const spec = around(value);
      if (value !== undefined && modelServingSpec.safeParse(spec).success) yield spec;
    }
  };
  for (const [name, field] of Object.entries(fields)) {
    const source = ["container", "graph"].includes(name) ? {} : { model: MODEL };
    yield* made(field, (value) => ({ ...source, [name]: value }));
  }
  if (pod !== undefined) yield* made(pod, (value) => ({ model: MODEL, pod: value }));
  yield* made(affinity, (value) => ({ model: MODEL, pod: { affinity: value } }));
}

function described(schema: StructuralSchema, path: string): [path: string, description: string][] {
  return [...fieldPaths(schema, path)].map((field) => [field.path, field.schema.description ?? ""]);
}

/** Paths in what `kubectl explain --recursive` prints: a field a line, indented by its depth. */
function fieldsOf(text: string): string[] {
  const above: string[] = [];
  return [...text.matchAll(/^( +)(\w+)\t</gm)].map(([, indent = "", name = ""]) => {
    above.length = indent.length / 2 - 1;
    above.push(name);
    return `.${above.join(".")}`;
  });
}

function inOneLine(text: string): string {
  return text.replaceAll(/\s+/g, " ").trim();
}
