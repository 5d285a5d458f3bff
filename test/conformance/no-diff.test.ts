import { readdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { modelServing } from "../../crds/model-serving.ts";
import { sameJson } from "../../operator/engine/canonical.ts";
import type { KubeObject } from "../../operator/engine/objects.ts";
import { decide } from "../../operator/model-serving/decide.ts";
import { type ApiServer, missingAssets, startApiServer } from "../support/api-server.ts";
import { missingHelm, objectsInFile, rendered } from "../support/chart.ts";
import { definitionsServed } from "../support/definitions.ts";
import { kubectl, tryKubectl } from "../support/kubectl.ts";
import { modelServingCases, resourceOf } from "../support/model-serving-cases.ts";
import { nothingObserved } from "../support/nothing-observed.ts";

const ROOT = join(import.meta.dirname, "../..");
const RESOURCES = "/apis/naru.dev/v1alpha1/namespaces/default/modelservings";
const LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration";
const MODELS = join(ROOT, "argocd/example/models");

/** What people keep in Git: every accepted shape of a spec, and the example's own. */
const manifests: KubeObject[] = [
  ...modelServingCases
    .filter(({ refused }) => refused === undefined)
    .map((one, index) => resourceOf(one, `case-${index}`) as unknown as KubeObject),
  ...(await Promise.all(readdirSync(MODELS).map((file) => objectsInFile(join(MODELS, file))))).flat(),
];

const missing = await missingAssets();
if (missing !== undefined) console.log(`skipped: manifests without a diff: ${missing}`);

describe.skipIf(missing !== undefined)("manifests that are applied again show no diff", () => {
  let server: ApiServer;
  beforeAll(async () => {
    server = await startApiServer();
    await kubectl(server, ["apply", "--server-side", "-f", join(ROOT, "crds/manifests")]);
    await definitionsServed(server);
  });
  afterAll(async () => server?.stop());

  test("by kubectl and by Argo CD's comparison of three, before the operator has acted and after", async () => {
    const list = listOf(manifests);
    await kubectl(server, ["apply", "-f", "-"], list);
    await expectNoDiff([], list);
    expect(await heldByLive()).toEqual([]);

    await actAsOperator();
    await expectNoDiff([], list);
    expect(await heldByLive()).toEqual([]);

    await kubectl(server, ["apply", "-f", "-"], list);
    expect(await heldByLive()).toEqual([]);
  });

  test("by server-side apply, and the second one changes no object", async () => {
    const argocd = ["--server-side", "--field-manager=argocd-controller", "--force-conflicts"];
    const list = listOf(manifests);
    await kubectl(server, ["delete", "modelservings", "--all"]);
    await kubectl(server, ["apply", ...argocd, "-f", "-"], list);
    await actAsOperator();
    const before = await versions();
    await expectNoDiff(argocd, list);
    await kubectl(server, ["apply", ...argocd, "-f", "-"], list);
    expect(await versions()).toEqual(before);
  });

  test("would be told apart by both, were they different", async () => {
    const [first] = structuredClone(manifests) as [KubeObject & { spec: Record<string, unknown> }];
    first.spec.replicas = 7;
    const { code, stdout } = await tryKubectl(server, ["diff", "-f", "-"], listOf([first]));
    expect(code).toBe(1);
    expect(stdout).toMatch(/^\+ +replicas: 7$/m);
    const live = (await server.request("GET", `${RESOURCES}/${first.metadata.name}`)).body;
    expect(notHeld(first, live, "")).toEqual([".spec.replicas"]);
  });

  test.skipIf(missingHelm() !== undefined)("nor does the chart", async () => {
    await kubectl(server, ["create", "namespace", "naru-system"]);
    const list = listOf(await rendered("--no-hooks"));
    await kubectl(server, ["apply", "-f", "-"], list);
    await expectNoDiff([], list);
    const argocd = ["--server-side", "--field-manager=argocd-controller", "--force-conflicts"];
    await kubectl(server, ["apply", ...argocd, "-f", "-"], list);
    await expectNoDiff(argocd, list);
  });

  async function expectNoDiff(args: readonly string[], list: string): Promise<void> {
    const { code, stdout, stderr } = await tryKubectl(server, ["diff", ...args, "-f", "-"], list);
    expect(stdout + stderr).toBe("");
    expect(code).toBe(0);
  }

  /** Status and nothing else, as the operator's decisions have it. */
  async function actAsOperator(): Promise<void> {
    for (const { metadata } of manifests) {
      const path = `${RESOURCES}/${metadata.name}`;
      const live = (await server.request("GET", path)).body as unknown as KubeObject;
      const { status } = decide(live, nothingObserved, new Date());
      const answer = await server.request("PUT", `${path}/status`, { ...live, status });
      expect(answer.body.message ?? "", metadata.name).toBe("");
    }
  }

  /** Fields of the manifests that the stored objects hold otherwise. */
  async function heldByLive(): Promise<string[]> {
    const missed: string[] = [];
    for (const manifest of manifests) {
      const live = (await server.request("GET", `${RESOURCES}/${manifest.metadata.name}`))
        .body as unknown as KubeObject;
      // What was applied last is what would be taken away if it were no longer wanted: it has to be the same.
      const last = JSON.parse(live.metadata.annotations?.[LAST_APPLIED] ?? "{}") as KubeObject;
      missed.push(
        ...notHeld(manifest, live, manifest.metadata.name),
        ...notHeld(manifest, last, "last applied"),
      );
    }
    return missed;
  }

  async function versions(): Promise<Record<string, string | undefined>> {
    const { body } = await server.request("GET", RESOURCES);
    const items = body.items as KubeObject[];
    return Object.fromEntries(items.map(({ metadata }) => [metadata.name, metadata.resourceVersion]));
  }
});

test("a manifest is compared as JSON merge patches are: maps by key, lists as a whole", () => {
  expect(notHeld({ a: { b: 1 } }, { a: { b: 1, c: 2 } }, "")).toEqual([]);
  expect(notHeld({ a: { b: 1 } }, { a: { b: 2 } }, "")).toEqual([".a.b"]);
  // What a default inside a list item would do.
  expect(notHeld({ a: [{ b: 1 }] }, { a: [{ b: 1, c: 2 }] }, "")).toEqual([".a"]);
});

test("the example's manifests are valid, and ask for nothing to be ignored", async () => {
  for (const file of readdirSync(MODELS)) {
    for (const object of await objectsInFile(join(MODELS, file))) {
      expect(modelServing.safeParse(object).error?.issues, file).toBeUndefined();
    }
  }
  const [application] = await objectsInFile(join(ROOT, "argocd/example/application.yaml"));
  expect(Object.keys(application?.spec as object)).not.toContain("ignoreDifferences");
});

/**
 * Paths at which `live` would change if `wanted` were merged into it, as Argo CD compares custom resources: by a JSON
 * merge patch (RFC 7396), which knows nothing of keys within lists.
 */
function notHeld(wanted: unknown, live: unknown, path: string): string[] {
  if (isMap(wanted) && isMap(live)) {
    return Object.entries(wanted).flatMap(([key, value]) => notHeld(value, live[key], `${path}.${key}`));
  }
  return live !== undefined && sameJson(wanted, live) ? [] : [path];
}

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function listOf(items: readonly KubeObject[]): string {
  return JSON.stringify({ apiVersion: "v1", kind: "List", items });
}
