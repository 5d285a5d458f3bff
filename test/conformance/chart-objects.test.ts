import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { KubeObject } from "../../operator/engine/objects.ts";
import { CHART, runHelm } from "../../scripts/helm.ts";
import { type ApiServer, missingAssets, startApiServer } from "../support/api-server.ts";
import { helmPath, missingHelm, objectsInFile, rendered, renderedCase } from "../support/chart.ts";
import { definitionsServed } from "../support/definitions.ts";
import { kubectl } from "../support/kubectl.ts";

const ROOT = join(import.meta.dirname, "../..");
const SYSTEM = "naru-system";
const RESTRICTED = { "pod-security.kubernetes.io/enforce": "restricted" };

const missing = (await missingAssets()) ?? missingHelm();
if (missing !== undefined) console.log(`skipped: the chart on a real API server: ${missing}`);

describe.skipIf(missing !== undefined)("the chart's objects, on a real API server", () => {
  let server: ApiServer;

  beforeAll(async () => {
    server = await startApiServer();
    for (const kind of ["servicemonitors", "prometheusrules"]) {
      await kubectl(server, ["apply", "-f", join(ROOT, "test/support/definitions", `${kind}.yaml`)]);
    }
    await definitionsServed(server);
    for (const name of [SYSTEM, "team-a", "team-b"]) {
      await kubectl(server, ["create", "namespace", name]);
      const labels = Object.entries(RESTRICTED).map(([key, value]) => `${key}=${value}`);
      await kubectl(server, ["label", "namespace", name, ...labels]);
    }
  });
  afterAll(async () => server?.stop());

  test.each(["default", "everything", "namespaces"])(
    "are all accepted, by strict validation: %s",
    async (name) => {
      const objects = await renderedCase(name, "--no-hooks", "--set", "monitoring.dashboards.enabled=true");
      expect(objects.length).toBeGreaterThan(10);
      const said = await kubectl(
        server,
        [...STRICT, "--dry-run=server", "-f", "-"],
        JSON.stringify(listOf(objects)),
      );
      expect(said.stderr).toBe("");
      expect(said.stdout.trim().split("\n")).toHaveLength(objects.length);
    },
  );

  test("are refused by the same means when one of them is wrong", async () => {
    const objects = structuredClone(await rendered("--no-hooks"));
    const deployment = objects.find(({ kind }) => kind === "Deployment") as { spec: Record<string, unknown> };
    deployment.spec.replica = 2;
    const applied = kubectl(
      server,
      [...STRICT, "--dry-run=server", "-f", "-"],
      JSON.stringify(listOf(objects)),
    );
    await expect(applied).rejects.toThrow(/unknown field "replica"/);
  });

  test.each(["default", "everything"])("have pods that the restricted standard admits: %s", async (name) => {
    const objects = await renderedCase(name);
    // A pod may only name a class that is there.
    const classes = JSON.stringify(listOf(objects.filter(({ kind }) => kind === "PriorityClass")));
    await kubectl(server, [...STRICT, "-f", "-"], classes);
    const pods = podsOf(objects);
    expect(pods).toHaveLength(2);
    for (const pod of pods) {
      const answer = await create(server, pod);
      expect(answer.body.message ?? "", pod.metadata.name).toBe("");
      expect(answer.warnings).toBe("");
    }
    // The namespace is what refuses: the same pod with one right more is not admitted.
    const [pod] = structuredClone(pods) as unknown as [{ spec: { hostNetwork?: boolean } } & KubeObject];
    pod.spec.hostNetwork = true;
    expect((await create(server, pod)).body.message).toMatch(/violates PodSecurity "restricted/);
    await kubectl(server, ["delete", "-f", "-"], classes);
  });

  test("are what the plain manifests hold, and kustomize builds an overlay on them", async () => {
    const files = ["deploy/crds.yaml", "deploy/naru.yaml"].map((file) => join(ROOT, file));
    const objects = (await Promise.all(files.map(objectsInFile))).flat();
    expect(names(objects).sort()).toEqual(
      ["Namespace naru-system", ...names(await rendered("--no-hooks"))].sort(),
    );
    const args = files.flatMap((file) => ["-f", file]);
    const said = await kubectl(server, [...STRICT, "--dry-run=server", ...args]);
    expect(said.stdout.trim().split("\n")).toHaveLength(objects.length);
    const built = await kubectl(server, ["kustomize", join(ROOT, "deploy")]);
    expect(built.stdout.match(/^kind: /gm)).toHaveLength(objects.length);
  });

  test("outlive their release where users' data hangs on them", async () => {
    const env = { KUBECONFIG: server.kubeconfig, HELM_DRIVER: "secret" };
    const release = ["--namespace", SYSTEM, "--kubeconfig", server.kubeconfig];
    await runHelm(helmPath(), ["install", "naru", CHART, ...release], env);
    await definitionsServed(server);
    await kubectl(server, ["apply", "-f", join(ROOT, "crds/examples/modelserving.yaml")]);
    const before = (await kubectl(server, ["get", "msv", "-A", "-o", "name"])).stdout;
    expect(before).toMatch(/^modelserving.naru.dev\//);

    await runHelm(
      helmPath(),
      ["upgrade", "naru", CHART, ...release, "--set", "replicas=3,operator.logLevel=debug"],
      env,
    );
    expect((await kubectl(server, ["-n", SYSTEM, "get", "deployment", "-o", "name"])).stdout).toContain(
      "naru",
    );
    expect((await kubectl(server, ["get", "msv", "-A", "-o", "name"])).stdout).toBe(before);

    // As an older chart is installed that is to leave the newer definition alone.
    await runHelm(helmPath(), ["upgrade", "naru", CHART, ...release, "--set", "crds.enabled=false"], env);
    expect((await kubectl(server, ["get", "msv", "-A", "-o", "name"])).stdout).toBe(before);

    await runHelm(helmPath(), ["uninstall", "naru", ...release], env);
    expect((await kubectl(server, ["-n", SYSTEM, "get", "deployment", "-o", "name"])).stdout).toBe("");
    expect((await kubectl(server, ["get", "msv", "-A", "-o", "name"])).stdout).toBe(before);

    // And the next one takes up what it finds.
    await runHelm(helmPath(), ["install", "naru", CHART, ...release], env);
    expect((await kubectl(server, ["get", "msv", "-A", "-o", "name"])).stdout).toBe(before);
  });
});

const STRICT = ["apply", "--server-side", "--force-conflicts", "--validate=strict"];

function listOf(items: readonly KubeObject[]): object {
  return { apiVersion: "v1", kind: "List", items };
}

function names(objects: readonly KubeObject[]): string[] {
  return objects.map(({ kind, metadata }) => `${kind} ${metadata.name}`);
}

/** The pods that come of the chart: the operator's, and the one of `helm test`. */
function podsOf(objects: readonly KubeObject[]): KubeObject[] {
  return objects.flatMap((object) => {
    if (object.kind === "Pod") return [object];
    if (object.kind !== "Deployment") return [];
    const { template } = object.spec as {
      template: { metadata: { labels: Record<string, string> }; spec: object };
    };
    const metadata = { ...template.metadata, name: `${object.metadata.name}-pod`, namespace: SYSTEM };
    return [{ apiVersion: "v1", kind: "Pod", metadata, spec: template.spec }];
  });
}

function create(server: ApiServer, pod: KubeObject) {
  const path = `/api/v1/namespaces/${SYSTEM}/pods?dryRun=All&fieldValidation=Strict`;
  return server.request("POST", path, pod);
}
