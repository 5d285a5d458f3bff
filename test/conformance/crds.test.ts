import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parse } from "yaml";
import { modelServing } from "../../crds/model-serving.ts";
import { type Answer, type ApiServer, missingAssets, startApiServer } from "../support/api-server.ts";
import { modelServingCases, resourceOf } from "../support/model-serving-cases.ts";

const MANIFEST = new URL("../../crds/manifests/naru.dev_modelservings.yaml", import.meta.url);
const DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const RESOURCES = "/apis/naru.dev/v1alpha1/namespaces/default/modelservings";

const missing = await missingAssets();
if (missing !== undefined) console.log(`skipped: the CRD on a real API server: ${missing}`);

describe.skipIf(missing !== undefined)("the CustomResourceDefinition on a real API server", () => {
  let server: ApiServer;
  let created: Answer;
  /** What was said to those that were refused. */
  const refusals: string[] = [];

  beforeAll(async () => {
    server = await startApiServer();
    created = await server.request("POST", DEFINITIONS, parse(await readFile(MANIFEST, "utf8")));
    await established(server);
  });
  afterAll(async () => server?.stop());

  test("is accepted as it is: structural, and every rule within the cost that an API server allows", () => {
    expect(created.body.message ?? "").toBe("");
    expect(created.status).toBe(201);
    expect(created.warnings).toBe("");
  });

  test("is stored without a change of its schema", async () => {
    const sent = parse(await readFile(MANIFEST, "utf8"));
    const stored = await server.request("GET", `${DEFINITIONS}/modelservings.naru.dev`);
    const spec = stored.body.spec as typeof sent.spec;
    expect(spec.versions[0].schema).toEqual(sent.spec.versions[0].schema);
    expect(conditions(stored.body)).toMatchObject({ NamesAccepted: "True", Established: "True" });
    expect(conditions(stored.body).NonStructuralSchema).toBeUndefined();
  });

  modelServingCases.forEach((one, index) => {
    const name = `case-${index}`;
    const verdict = one.refused === undefined ? "accepted" : "refused";
    test(`${verdict}: ${one.name}`, async () => {
      const resource = resourceOf(one, name);
      const answer = await server.request("POST", `${RESOURCES}?fieldValidation=Strict`, resource);
      if (one.refused === undefined) {
        expect(answer.body.message ?? "").toBe("");
        expect(answer.body.spec).toEqual(modelServing.parse(resource).spec);
      } else {
        expect(answer.status).toBeGreaterThanOrEqual(400);
        expect(answer.status).toBeLessThan(500);
        refusals.push(String(answer.body.message));
        if (!one.bySchema) expect(answer.body.message).toContain(one.refused);
      }
    });
  });

  test("every rule of the definition has refused something, in its own words", async () => {
    const messages = [...rules(parse(await readFile(MANIFEST, "utf8")))];
    expect(messages.length).toBeGreaterThan(40);
    const said = refusals.join("\n");
    expect(messages.filter((message) => !said.includes(message))).toEqual([]);
  });

  test("a field that it does not know is dropped and warned of, or refused where that is asked for", async () => {
    const spec = { ...modelServingCases[0]?.spec, replica: 2, server: { batching: { maxDelay: 1 } } };
    const resource = { ...API, metadata: { name: "pruned" }, spec };
    const answer = await server.request("POST", RESOURCES, resource);
    expect(answer.status).toBe(201);
    expect(answer.warnings).toMatch(/unknown field \\?"spec.replica\\?"/);
    expect(answer.warnings).toMatch(/unknown field \\?"spec.server.batching.maxDelay\\?"/);
    const stored = (await server.request("GET", `${RESOURCES}/pruned`)).body;
    expect(JSON.stringify(stored.spec)).not.toMatch(/replica|maxDelay"/);
    const strict = await server.request("POST", `${RESOURCES}?fieldValidation=Strict`, resource);
    expect(strict.status).toBe(400);
  });

  test("an object's status is written by the subresource alone, and stored whole", async () => {
    const one = modelServingCases.find((each) => each.spec.replicas === 2);
    if (one === undefined) throw new Error("no case");
    const sent = { ...resourceOf(one, "status"), status: { replicas: 7 } };
    const made = await server.request("POST", RESOURCES, sent);
    expect(made.body.status).toBeUndefined();
    const status = {
      observedGeneration: 1,
      replicas: 2,
      readyReplicas: 2,
      selector: "naru.dev/model-serving=status",
      url: "http://status.default.svc/v2",
      model: "4b1f09c2",
      revision: "6a2e",
      canarySummary: "5% (1/2)",
      conditions: [
        {
          type: "Ready",
          status: "True",
          reason: "Serving",
          message: "2 of 2 pods answer.",
          observedGeneration: 1,
          lastTransitionTime: "2026-01-02T03:04:05Z",
        },
      ],
      canary: {
        revision: "7f3c",
        phase: "Stepping",
        attempt: 0,
        step: 0,
        steps: 2,
        weightPercent: 5,
        requests: 10,
        errorPerMille: 0,
        restarts: 0,
      },
    };
    const written = await server.request("PUT", `${RESOURCES}/status/status`, { ...made.body, status });
    expect(written.body.message ?? "").toBe("");
    expect(written.body.status).toEqual(status);
    expect((written.body.metadata as { generation: number }).generation).toBe(1);
  });

  test("/scale reads and writes replicas", async () => {
    const scale = await server.request("GET", `${RESOURCES}/status/scale`);
    expect(scale.body.status).toEqual({ replicas: 2, selector: "naru.dev/model-serving=status" });
    const patch = { spec: { replicas: 5 } };
    await server.request("PATCH", `${RESOURCES}/status/scale`, patch, "application/merge-patch+json");
    const after = await server.request("GET", `${RESOURCES}/status`);
    expect((after.body.spec as { replicas: number }).replicas).toBe(5);
    await kubectl(server, "scale", "msv/status", "--replicas=3");
    expect((await server.request("GET", `${RESOURCES}/status/scale`)).body.spec).toEqual({ replicas: 3 });
  });

  test("kubectl scale beside autoscaling is refused with what to do, and changes nothing", async () => {
    const { model } = modelServingCases[0]?.spec ?? {};
    const resource = {
      ...API,
      metadata: { name: "scaled" },
      spec: { model, autoscaling: { maxReplicas: 3 } },
    };
    const made = await server.request("POST", RESOURCES, resource);
    expect(made.body.message ?? "").toBe("");
    const scaled = kubectl(server, "scale", "msv/scaled", "--replicas=5");
    await expect(scaled).rejects.toThrow("spec: replicas and autoscaling exclude each other");
    expect((await server.request("GET", `${RESOURCES}/scaled`)).body).toEqual(made.body);
  });

  test("server-side apply twice with the same resource changes nothing", async () => {
    const one = modelServingCases.find((each) => each.name.startsWith("a graph"));
    if (one === undefined) throw new Error("no case");
    const path = `${RESOURCES}/applied?fieldManager=test`;
    const apply = () =>
      server.request("PATCH", path, resourceOf(one, "applied"), "application/apply-patch+yaml");
    const first = await apply();
    const second = await apply();
    expect(second.status).toBe(200);
    expect(second.body.metadata).toEqual(first.body.metadata);
  });

  test("kubectl get answers whether it is well, and since when, under the short name and the category", async () => {
    const cells = async (...args: string[]) => {
      const { stdout } = await kubectl(server, "get", ...args);
      const [head = "", row = ""] = stdout.split("\n");
      // A column is as wide as its title and what is below it: each cell begins where its title does.
      const starts = [...head.matchAll(/\S+/g)].map(({ index }) => index);
      const cut = (line: string) => starts.map((from, nth) => line.slice(from, starts[nth + 1]).trim());
      return Object.fromEntries(cut(head).map((title, nth) => [title, cut(row)[nth]]));
    };
    const shown = await cells("msv", "status");
    const { AGE, ...rest } = shown;
    expect(rest).toEqual({
      NAME: "status",
      READY: "True",
      MODEL: "4b1f09c2",
      REVISION: "6a2e",
      CANARY: "5% (1/2)",
      URL: "http://status.default.svc/v2",
    });
    expect(AGE).toMatch(/^\d+[sm]/);
    expect(await cells("msv", "status", "-o", "wide")).toMatchObject({ REPLICAS: "2", REASON: "Serving" });
    expect((await kubectl(server, "get", "naru", "-o", "name")).stdout).toContain(
      "modelserving.naru.dev/status",
    );
  });
});

const API = { apiVersion: "naru.dev/v1alpha1", kind: "ModelServing" };

/** The messages of all rules in it. */
function* rules(value: unknown): Generator<string> {
  if (typeof value !== "object" || value === null) return;
  const own = (value as { "x-kubernetes-validations"?: { message: string }[] })["x-kubernetes-validations"];
  for (const { message } of own ?? []) yield message;
  for (const inner of Object.values(value)) yield* rules(inner);
}

function kubectl(server: ApiServer, ...args: string[]) {
  return promisify(execFile)(server.kubectl, ["--kubeconfig", server.kubeconfig, ...args], {
    env: { ...process.env, HOME: "/nonexistent" },
  });
}

function conditions(body: Record<string, unknown>): Record<string, string> {
  const status = body.status as { conditions?: { type: string; status: string }[] } | undefined;
  return Object.fromEntries((status?.conditions ?? []).map(({ type, status: value }) => [type, value]));
}

/** The kind is served a moment after its definition is established. */
async function established(server: ApiServer): Promise<void> {
  for (let attempt = 0; attempt < 300; attempt += 1) {
    const { status } = await server.request("GET", RESOURCES);
    if (status === 200) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
